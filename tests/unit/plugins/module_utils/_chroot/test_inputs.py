# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from chroot_samples import KEY, digest, params, source

from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot import inputs
from ansible_collections.serverfarm.ltsp.plugins.module_utils._chroot.paths import ChrootError


def test_equal_inputs_have_equal_digests(tmp_path):
    (tmp_path / "key.asc").write_text(f"{KEY}\n")
    assert digest(packages=["more", "less", "more"]) == digest(packages=["less", "more"])
    assert digest(mirror="http://deb.debian.org/debian/") == digest()
    assert digest(sources=[source(signed_by=f"\n{KEY}\n\n")]) == digest(sources=[source(signed_by=f"{tmp_path}/key.asc")])
    assert digest(architecture=None) == digest(architecture=inputs._host_architecture())


def test_every_other_input_has_another_digest(tmp_path):
    keyring = tmp_path / "keyring.gpg"
    changes = [
        {},
        {"suite": "bookworm"},
        {"mirror": "http://example.org/debian"},
        {"components": ["main", "contrib"]},
        {"architecture": "arm64"},
        {"variant": "important"},
        {"keyring": "/usr/share/keyrings/other.gpg"},
        {"keyring": str(keyring)},
        {"packages": ["less"]},
        {"install_recommends": True},
        {"sources": [source()]},
        {"sources": [source(signed_by=KEY)]},
        {"method": "debootstrap"},
    ]
    digests = [digest(**change) for change in changes]
    assert len(set(digests)) == len(digests)
    keyring.write_bytes(b"one")
    one = digest(keyring=str(keyring))
    keyring.write_bytes(b"two")
    assert digest(keyring=str(keyring)) not in (one, *digests)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suite": "Trixie"}, "suite: 'Trixie' is not"),
        ({"suite": "--help"}, "suite: '--help' is not"),
        ({"suite": "trixie/updates"}, "suite: "),
        ({"mirror": "deb.debian.org"}, "mirror: .* is not an http or https URL"),
        ({"mirror": "file:///srv/mirror"}, "mirror: "),
        ({"mirror": "http://user:word@example.org/"}, "without user name"),
        ({"mirror": "http://example.org/\nSuites: x"}, "mirror: "),
        ({"components": []}, "components: the list is empty"),
        ({"components": ["main contrib"]}, "components: 'main contrib'"),
        ({"architecture": "x86 64"}, "architecture: 'x86 64'"),
        ({"keyring": "keyring.gpg"}, "keyring: 'keyring.gpg' is not an absolute path"),
        ({"packages": ["less,more"]}, "packages: 'less,more'"),
        ({"packages": ["-f"]}, "packages: '-f'"),
        ({"packages": ["less-"]}, "packages: 'less-'"),
        ({"packages": ["?essential"]}, "packages: "),
        ({"packages": [""]}, "packages: ''"),
        ({"sources": [source(name="../x")]}, "sources: '../x'"),
        ({"sources": [source(name="base")]}, "the name 'base' is taken"),
        ({"sources": [source(), source()]}, "the name 'extra' is taken"),
        ({"sources": [source(uris=[])]}, "sources, 'extra': uris is empty"),
        ({"sources": [source(uris=["/srv"])]}, "sources, 'extra': uris: '/srv'"),
        ({"sources": [source(suites=[])]}, "suites is empty"),
        ({"sources": [source(suites=["a b"])]}, "suites: 'a b'"),
        ({"sources": [source(suites=["/"])]}, "has no components"),
        ({"sources": [source(components=[])]}, "needs components"),
        ({"sources": [source(architectures=["*"])]}, "architectures: "),
        ({"sources": [source(signed_by="key.asc")]}, "signed_by is neither"),
    ],
)
def test_wrong_inputs_are_named(values, message):
    with pytest.raises(ChrootError, match=message):
        inputs.parse_inputs(params(**values))


def test_packages_of_every_kind_are_taken():
    packages = ["g++", "libc6:i386", "linux-image-amd64/trixie-backports", "kubeadm=1.36.3-1.1", "xz=1:2.0~rc1+b1", "0ad"]
    assert inputs.parse_inputs(params(packages=packages)).packages == sorted(packages)
