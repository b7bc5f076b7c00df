"""The packages import what docs/architecture.md draws, and nothing else."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FOLDERS = ("core", "hf", "engine", "plugins", "testing", "cli")
EXEMPT = re.compile(
    r"core/(__init__\.py|testing/|prunekit/)|plugins/models/(decoder|llama_like)\.py"
)
"""Modules that keep old names, and the package prunekit, which gives commands as functions."""
BELOW = {"core": set(), "hf": {"core"}, "engine": {"core", "hf"}, "cli": {"core", "engine"}}
DEFAULT = {"core", "hf", "engine"}


def sources():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not EXEMPT.match(name):
                yield (
                    "prunekit."
                    + name.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
                    path,
                )


MODULES = dict(sources())


def imports(path):
    """All imports, those inside functions and for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in MODULES else node.module


IMPORTS = {
    module: {name for name in imports(path) if name.split(".")[0] == "prunekit"}
    for module, path in MODULES.items()
}


def package(module):
    parts = module.split(".")[1:]
    return "/".join(parts[:2]) if parts[:1] == ["plugins"] else "".join(parts[:1])


def drawn():
    (block,) = re.findall(r"```arrows\n(.*?)```", PAGE, re.DOTALL)
    return {tuple(line.split(" -> ")) for line in block.splitlines()}


def found():
    edges = {(package(a), package(b)): (a, b) for a, names in IMPORTS.items() for b in names}
    return {edge: example for edge, example in edges.items() if edge[0] != edge[1]}


def test_every_import_between_packages_is_drawn():
    assert not {edge: example for edge, example in found().items() if edge not in drawn()}


def test_every_arrow_is_an_import():
    assert not drawn() - found().keys()


@pytest.mark.parametrize("arrow", sorted(drawn()), ids=" -> ".join)
def test_the_arrows_keep_the_rules(arrow):
    start, end = arrow
    allowed = BELOW.get(start, DEFAULT | ({"cli"} if start == "plugins/commands" else set()))
    assert end in allowed


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_file_that_the_page_names_is_there():
    names = re.findall(r"`((?:core|hf|engine|plugins|testing|cli|tests)/[\w/.]*)`", PAGE)
    assert names
    assert not [name for name in names if not (ROOT / name).exists()]


def command(module):
    parts = module.split(".")
    return parts[3] if parts[1:3] == ["plugins", "commands"] and len(parts) > 3 else ""


def test_no_commands_build_on_each_other_in_a_circle():
    built_on = {}
    for a, names in IMPORTS.items():
        built_on.setdefault(command(a), set()).update(map(command, names))
    del built_on[""]
    graph = {name: others - {name, ""} for name, others in built_on.items()}
    assert {"export", "evaluate"} <= graph["heal"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
