# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mirror.py DIRECTORY PORT: a signed flat repository as pkgs.k8s.io has them, with packages as small as can be, and their binaries in DIRECTORY/bin.

PORT is that of the registry on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = "1.36.2-1.1 1.36.3-1.1 1.36.3-2.1 1.36.10-1.1 1.37.0-1.1".split()
UNIT = "[Service]\nExecStart=/usr/bin/kubelet\n[Install]\nWantedBy=multi-user.target\n"
POSTINST = "#!/bin/sh\nsystemctl enable kubelet.service\n"


def run(directory: Path, *command: str) -> bytes:
    return subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def write(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def control(name: str, version: str, depends: str) -> str:
    fields = {"Package": name, "Version": version, "Architecture": "amd64", "Maintainer": "Nobody <nobody@example.org>", "Description": f"{name} of a test"}
    if depends:
        fields["Depends"] = depends
    return "".join(f"{field}: {value}\n" for field, value in fields.items())


def add_unit(tree: Path) -> None:
    write(tree / "usr/lib/systemd/system/kubelet.service", UNIT)
    write(tree / "DEBIAN/postinst", POSTINST, 0o755)


def add_registry(tree: Path, port: str) -> None:
    """The registry on this machine has no certificate: this package says so, since it is installed before images are fetched."""
    write(tree / "etc/containers/registries.conf.d/test.conf", f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')


def package(directory: Path, port: str, name: str, version: str, depends: str = "") -> None:
    """The program of a package says its version."""
    tree = directory / "tree" / f"{name}-{version}"
    write(tree / "DEBIAN/control", control(name, version, depends))
    write(tree / "usr/bin" / name, f"#!/bin/sh\necho Kubernetes v{version.rpartition('-')[0]}\n", 0o755)
    if name == "kubelet":
        add_unit(tree)
    if name == "kubernetes-cni":
        add_registry(tree, port)
    run(directory, "dpkg-deb", "--root-owner-group", "--build", str(tree), ".")


def make_packages(directory: Path, port: str) -> None:
    for version in VERSIONS:
        package(directory, port, "kubelet", version, "kubernetes-cni")
        package(directory, port, "kubeadm", version, "cri-tools")
        package(directory, port, "kubectl", version)
    package(directory, port, "cri-tools", "1.36.0-1.1")
    package(directory, port, "kubernetes-cni", "1.8.0-1.1")


def take_binaries(directory: Path) -> None:
    (directory / "bin").mkdir()
    for name in ("kubelet", "kubeadm", "kubectl"):
        shutil.copy(directory / "tree" / f"{name}-1.36.10-1.1/usr/bin" / name, directory / "bin")
    shutil.rmtree(directory / "tree")


def make_index(directory: Path) -> None:
    for command, name in (("packages", "Packages"), ("release", "Release")):
        (directory / name).write_bytes(run(directory, "apt-ftparchive", command, "."))


def sign(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["GNUPGHOME"] = home
        run(directory, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Mirror of a test", "rsa3072", "sign", "never")
        (directory / "Release.key").write_bytes(run(directory, "gpg", "--batch", "--armor", "--export"))
        run(directory, "gpg", "--batch", "--quiet", "--clearsign", "--output", "InRelease", "Release")
        run(directory, "gpgconf", "--kill", "all")


def main(path: str, port: str) -> None:
    os.umask(0o022)
    directory = Path(path)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    make_packages(directory, port)
    take_binaries(directory)
    make_index(directory)
    sign(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
