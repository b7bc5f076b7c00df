"""Built-in plugins use nothing that a third party could not, and the pages say what that is."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import prunekit
import prunekit.cli
import prunekit.core
import prunekit.hf
import prunekit.plugins
import prunekit.testing

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins" / "compatibility.md").read_text(encoding="utf-8")


def shared():
    """Return the public names of modules of built-in plugins, and of those they build on."""
    modules = [
        importlib.import_module(m.name)
        for package in (prunekit.hf, prunekit.cli, prunekit.plugins)
        for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return {m.__name__: sorted(m.__all__) for m in modules if hasattr(m, "__all__")}


PUBLIC = {
    "prunekit": prunekit.__all__,
    "prunekit.core": prunekit.core.__all__,
    "prunekit.hf": prunekit.hf.__all__,
    "prunekit.testing": prunekit.testing.__all__,
    "prunekit.core.testing": prunekit.testing.__all__,
    **shared(),
}


def imported(path):
    """Pairs of a module of prunekit and a name that is imported from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "prunekit":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.split(".")[0] == "prunekit")


def is_public(module, name):
    return name in PUBLIC.get(module, ())


BUILT_IN = [
    path
    for kind in ("searchers", "objectives", "models", "repairs", "backends")
    for path in sorted((ROOT / "plugins" / kind).rglob("*.py"))
]


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda p: p.stem)
def test_built_in_plugins_import_what_is_public_and_their_own_kind(path):
    own = f"prunekit.plugins.{path.relative_to(ROOT / 'plugins').parts[0]}."
    for module, name in imported(path):
        assert is_public(module, name) or module.startswith(own), f"{module}: {name}"


EXAMPLES = [p for p in (ROOT / "examples").rglob("*.py")]
TEMPLATES = sorted(
    (ROOT / "plugins" / "commands" / "new_plugin" / "templates").rglob("*.py.template")
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_import_what_is_public(path):
    for module, name in imported(path):
        assert is_public(module, name), f"{module}: {name}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_templates_import_what_is_public(path, tmp_path):
    filled = tmp_path / "filled.py"
    filled.write_text(re.sub(r"\$\{?\w+\}?", "filled", path.read_text(encoding="utf-8")))
    for module, name in imported(filled):
        assert is_public(module, name), f"{module}: {name}"


def test_the_page_names_what_is_public():
    rows = re.findall(r"\| `(prunekit\.[\w.]+)` \| (.*) \|", PAGE)
    assert {module: sorted(re.findall(r"`(\w+)`", names)) for module, names in rows} == shared()


def test_every_public_name_is_there_and_has_a_docstring_or_a_value():
    for module, names in PUBLIC.items():
        for name in names:
            assert getattr(importlib.import_module(module), name) is not None


def test_a_name_that_moved_is_found_in_its_old_place_with_a_warning():
    with pytest.warns(DeprecationWarning, match=r"core\.PrefixMeter is now prunekit\.hf\.Prefix"):
        assert prunekit.core.PrefixMeter is prunekit.hf.PrefixMeter
