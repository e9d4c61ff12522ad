# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports go down: plugins use plugin_utils, those use module_utils. Code for a target uses module_utils only."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
COLLECTION = "ansible_collections.serverfarm.ltsp.plugins"

# What each directory may import: directories of the collection, and modules of ansible-core by prefix.
ALLOWED: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "module_utils": ({"module_utils"}, ("ansible.module_utils.",)),
    "modules": ({"module_utils"}, ("ansible.module_utils.",)),
    "doc_fragments": (set(), ()),
}
CONTROLLER = ({"plugin_utils", "module_utils"}, ("ansible.",))


def imports(path: pathlib.Path) -> t.Iterator[str]:
    """Yield the full names that a file imports, with those that only its types need."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: Ansible does not ship what is imported by a relative name"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def faults(path: pathlib.Path, directory: str) -> list[str]:
    """Return the imports that a file of this directory of plugins may not have."""
    own, core = ALLOWED.get(directory, CONTROLLER)
    found = []
    for name in imports(path):
        if name.startswith("ansible_collections."):
            if not any(name.startswith(f"{COLLECTION}.{other}.") for other in own):
                found.append(name)
        elif (name == "ansible" or name.startswith("ansible.")) and not name.startswith(core):
            found.append(name)
    return found


@pytest.mark.parametrize("directory", sorted(path.name for path in PLUGINS.iterdir() if any(path.rglob("*.py"))))
def test_imports_go_down(directory: str) -> None:
    found = {str(path.relative_to(ROOT)): faults(path, directory) for path in (PLUGINS / directory).rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("directory", "line", "fault"),
    [
        ("module_utils", f"from {COLLECTION}.plugin_utils._nodes import describe", True),
        ("module_utils", f"from {COLLECTION}.modules import lts_conf", True),
        ("module_utils", "from ansible.errors import AnsibleError", True),
        ("module_utils", "from ansible.module_utils.basic import AnsibleModule", False),
        ("modules", f"from {COLLECTION} import plugin_utils", True),
        ("plugin_utils", f"from {COLLECTION}.filter.ltsp_nodes import ltsp_nodes", True),
        ("filter", f"from {COLLECTION}.filter import ltsp_nodes", True),
        ("filter", f"from {COLLECTION}.module_utils import _net", False),
        ("filter", "from ansible_collections.kubernetes.core.plugins.module_utils import common", True),
        ("doc_fragments", "import ansible.constants", True),
    ],
)
def test_an_import_that_goes_up_is_found(tmp_path: pathlib.Path, directory: str, line: str, fault: bool) -> None:
    (tmp_path / "plugin.py").write_text(line, encoding="utf-8")
    assert bool(faults(tmp_path / "plugin.py", directory)) == fault


def test_files_of_roles_import_nothing_of_the_collection() -> None:
    files = [*(ROOT / "roles").glob("*/files/**/*.py"), *(ROOT / "roles").glob("*/templates/**/*.py")]
    assert files
    assert {str(path): [name for name in imports(path) if name.startswith(("ansible", "serverfarm"))] for path in files} == {str(path): [] for path in files}


def test_packages_of_module_utils_are_packages() -> None:
    """Ansible does not ship a directory without __init__.py, although Python imports it."""
    packages = {path.parent for path in (PLUGINS / "module_utils").rglob("*.py")}
    assert {str(path) for path in packages - {PLUGINS / "module_utils"} if not (path / "__init__.py").exists()} == set()


def test_modules_of_packages_are_imported_by_their_full_names() -> None:
    """Ansible ships the modules that an import names. An import of an empty package ships none of them."""
    empty = [path.parent for path in (PLUGINS / "module_utils").rglob("__init__.py") if not path.stat().st_size]
    assert empty
    packages = {".".join((COLLECTION, *path.relative_to(PLUGINS).parts)) for path in empty}
    found = [f"{path.relative_to(ROOT)}: {name}" for path in PLUGINS.rglob("*.py") for name in imports(path) if name in packages]
    assert found == []


def test_all_modules_run_and_fail_in_the_same_way() -> None:
    modules = sorted((PLUGINS / "modules").glob("*.py"))
    assert modules
    assert [path.name for path in modules if f"{COLLECTION}.module_utils._module.run_module" not in imports(path)] == []
