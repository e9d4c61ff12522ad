# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook for initramfs-tools, with its own functions; those for kernel modules are stand-ins, because there is no kernel here."""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

import pytest
import yaml
from playbook import run_playbook

ROLE = pathlib.Path(__file__).parents[3] / "roles" / "ltsp_image"
RUNTIME = ROLE / "files" / "runtime"
HOOK = RUNTIME / "usr/share/initramfs-tools/hooks/ltsp"
FUNCTIONS = pathlib.Path(os.environ.get("INITRAMFS_TOOLS_DIRECTORY", "/usr/share/initramfs-tools")) / "hook-functions"
TRANSPORTS = sorted(file.stem for file in (RUNTIME / "usr/lib/ltsp/transports").iterdir())


@pytest.fixture
def image(node: t.Any) -> t.Any:
    """An image with the programs of the runtime, and the directory of mkinitramfs for a new initramfs."""
    if not FUNCTIONS.exists():
        pytest.skip("initramfs-tools is not installed")
    if not shutil.which("veritysetup", path="/usr/sbin:/sbin"):
        pytest.skip("veritysetup is not installed")
    node.write(
        "usr/share/initramfs-tools/hook-functions",
        f""". "{FUNCTIONS}"
manual_add_modules() {{ echo "$@" >>"$DESTDIR/modules"; }}
auto_add_modules() {{ echo "all of $*" >>"$DESTDIR/modules"; }}
""",
    )
    for name in ("bin", "lib", "lib64", "sbin"):
        (node.root / "initramfs/usr" / name).mkdir(parents=True)
        (node.root / "initramfs" / name).symlink_to(f"usr/{name}")
    node.command("nbd-client", "exit 0")
    return node


def run(image: t.Any, *arguments: str, check: bool = True) -> t.Any:
    path = f"{image.root}/bin:/usr/bin:/sbin:/bin"  # as in mkinitramfs
    return image.execute(str(HOOK), *arguments, check=check, PATH=path, DESTDIR=f"{image.root}/initramfs", verbose="n")


def content(directory: pathlib.Path) -> dict[str, str]:
    return {str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()}


def test_the_initramfs_has_the_programs_with_their_libraries_and_the_modules(image: t.Any) -> None:
    run(image)
    assert (image.root / "initramfs/usr/sbin/nbd-client").stat().st_mode & 0o111
    assert (image.root / "initramfs/usr/sbin/veritysetup").read_bytes() == pathlib.Path("/usr/sbin/veritysetup").read_bytes()
    assert list((image.root / "initramfs").rglob("libcryptsetup.so*"))
    assert image.read("initramfs/modules").splitlines() == [
        "af_packet squashfs overlay loop dm_mod dm_verity sha256_generic nbd",
        "all of net",
    ]


def test_the_initramfs_has_what_root_sh_reads_and_nothing_else_of_the_runtime(image: t.Any) -> None:
    run(image)
    library = content(RUNTIME / "usr/lib/ltsp")
    wanted = {"common.sh", "root.sh", "lts-conf.awk", *(f"transports/{name}.sh" for name in TRANSPORTS)}
    assert content(image.root / "initramfs/usr/lib/ltsp") == {name: library[name] for name in wanted}


@pytest.mark.usefixtures("other_transport")
def test_a_transport_is_one_file(image: t.Any) -> None:
    image.command("mount.test", "exit 0")
    run(image)
    assert (image.root / "initramfs/usr/sbin/mount.test").exists()
    assert (image.root / "initramfs/usr/lib/ltsp/transports/test.sh").exists()
    assert image.read("initramfs/modules").splitlines()[0].endswith(" nbd testfs testnet")


@pytest.mark.usefixtures("other_transport")
def test_a_missing_program_ends_the_hook_with_the_packages(image: t.Any) -> None:
    result = run(image, check=False)
    assert result.returncode == 1
    assert result.stderr == "E: ltsp: mount.test is missing: install cryptsetup-bin nbd-client test-utils in the image\n"


def test_prerequisites_are_said_without_work(image: t.Any) -> None:
    assert run(image, "prereqs").stdout == ""
    assert not (image.root / "initramfs/modules").exists()


@pytest.mark.parametrize("declared", ["''", "test-utils", "'test-utils libtest++1'", '"test-utils libtest++1"'])
def test_the_images_of_the_role_have_the_packages_that_the_hook_names(node: t.Any, tmp_path: pathlib.Path, declared: str) -> None:
    node.add_transport("test", f"ltsp_test_programs='' ltsp_test_modules='' ltsp_test_packages={declared}\nltsp_test_attach() {{ :; }}\n")
    named = node.run("ltsp_requirements packages", "root").stdout.split()
    assert named
    (tmp_path / "files/runtime/usr/lib").mkdir(parents=True)
    (tmp_path / "files/runtime/usr/lib/ltsp").symlink_to(node.library)
    play = {
        "vars_files": [str(ROLE / "vars/main.yml")],
        "vars": {"role_path": str(tmp_path)},
        "tasks": [{"ansible.builtin.debug": {"msg": "packages={{ __ltsp_image_base_inputs.packages | join(' ') }}"}}],
    }
    # The operator's list may have some of them.
    variables = {**yaml.safe_load((ROLE / "defaults/main.yml").read_text()), "ltsp_farm_store": "/srv/ltsp", "ltsp_image_base_packages": ["less", named[0]]}
    done = run_playbook(tmp_path, [play], {"builder": variables})
    assert f'"packages={" ".join(sorted({"less", *named}))}"' in done.output, done.output


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_has_all_that_root_sh_and_the_hook_ask_for(node: t.Any, name: str) -> None:
    variables = "".join(f': "${{ltsp_{name}_{kind}?}}"\n' for kind in ("programs", "modules", "packages"))
    functions = "".join(f"command -v ltsp_{name}_{kind} >/dev/null || exit 1\n" for kind in ("attach", "detach"))
    node.run(variables + functions, "root")
