"""The pages for authors of plugins are true, and leave nothing out."""

import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest

import prunekit.testing
from prunekit.core import Command, hookspecs, interfaces
from prunekit.core.batch import Batch
from prunekit.core.problem import Problem
from prunekit.core.registry import load
from prunekit.core.repair import Cut, Patch, Repair
from prunekit.core.spec import ModelFacts, Spec
from prunekit.core.tracker import Tracker
from prunekit.engine.weights import weights_of
from prunekit.hf.checkpoint import find
from prunekit.plugins.searchers import signals

FOLDER = Path(__file__).parents[1] / "docs" / "plugins"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
PROTOCOLS = {
    "searchers.md": [interfaces.Searcher],
    "objectives.md": [interfaces.Objective, interfaces.Output],
    "models.md": [interfaces.ModelAdapter],
    "repairs.md": [Repair],
    "trackers.md": [Tracker],
    "backends.md": [interfaces.Backend, interfaces.Meter],
    "commands.md": [Command],
}


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def signature(function):
    """As the pages write it: names, types, what is returned; no self."""
    inner = getattr(function, "__func__", function)
    text = str(inspect.signature(inner)).replace("'", "")
    return f"{inner.__name__}{re.sub(r'[(](self|cls)(, )?', '(', text)}"


def members():
    for page, protocols in PROTOCOLS.items():
        for protocol in protocols:
            for name, member in vars(protocol).items():
                if not name.startswith("_") and (callable(member) or hasattr(member, "__func__")):
                    yield pytest.param(page, signature(member), id=f"{protocol.__name__}.{name}")


@pytest.mark.parametrize(("page", "written"), list(members()))
def test_every_method_is_on_the_page_of_its_kind_with_its_signature(page, written):
    assert f"`{written}`" in PAGES[page]


def test_every_hook_is_documented_by_its_signature():
    hooks = [f for name, f in vars(hookspecs).items() if name.startswith("prunekit_")]
    assert len(hooks) == 7
    for hook in hooks:
        assert f"`{signature(hook)}`" in PAGES["README.md"]


def test_every_check_is_documented_by_its_signature():
    everything = "\n".join(PAGES.values())
    for name in prunekit.testing.__all__:
        if name.startswith("check_"):
            assert f"`{signature(getattr(prunekit.testing, name))}`" in everything


def test_every_field_that_plugins_see_is_on_a_page():
    everything = "\n".join(PAGES.values())
    for cls in (Problem, Batch, Spec, ModelFacts, Cut, Patch):
        for field in cls.__dataclass_fields__:
            assert f"`{field}`" in everything, f"{cls.__name__}.{field}"
    for name in signals.__all__:
        assert f"`{name}`" in PAGES["searchers.md"]


def test_whatever_an_interface_calls_optional_is_on_its_page():
    for page, protocols in PROTOCOLS.items():
        for protocol in protocols:
            for name in re.findall(r"`(\w+)[^`]*`", protocol.__doc__):
                assert f"`{name}" in PAGES[page], f"{protocol.__name__}: {name}"


def test_whatever_a_command_may_declare_is_on_its_page():
    for name in Command.__annotations__:
        assert re.search(rf"\b{name}\b", PAGES["commands.md"]), name


def test_the_command_of_its_page_runs_and_so_does_the_helper_that_it_names(capsys):
    (block,) = blocks("python", PAGES["commands.md"])
    names = {"__name__": "snippets"}
    exec(compile(block, "commands.md", "exec"), names)
    names["Count"]().run({"model": "demo"}, twice=True)
    assert capsys.readouterr().out == "16\n16\n"

    spec = Spec("demo:qwen3")
    checkpoint = find(spec, load())
    assert (
        f"`weights_of({', '.join(inspect.signature(weights_of).parameters)})`"
        in (PAGES["commands.md"])
    )
    assert len(weights_of(checkpoint, checkpoint.config(), spec).counts.of_blocks) == 16


@pytest.mark.parametrize("page", [p for p, text in PAGES.items() if blocks("python", text)])
def test_every_snippet_runs(page, monkeypatch):
    if page == "tutorial.md":  # its files are installed and run by test_distributions.py
        return
    module = type(sys)("snippets")
    monkeypatch.setitem(sys.modules, "snippets", module)
    for block in blocks("python", PAGES[page]):
        exec(compile(block, page, "exec"), vars(module))


def test_every_toml_is_one():
    for text in PAGES.values():
        for block in blocks("toml", text):
            groups = tomllib.loads(block)["project"]["entry-points"]
            assert groups.keys() <= {"prunekit", "prunekit.commands"}


def test_the_index_leads_to_every_page():
    for page in PAGES:
        assert page == "README.md" or f"]({page})" in PAGES["README.md"]
