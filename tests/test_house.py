"""The house: what may import what, and documents that stay true."""

import ast
import doctest
import importlib
import importlib.metadata
import pkgutil
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import prunekit
import prunekit.cli.main
import prunekit.core
import prunekit.plugins

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
}
OWN_TEST = {"docs/plugins/tutorial.md"}
"""Pages whose commands need something installed: tests/test_distributions.py runs them."""


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def imports(path, only_at_import=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_at_import else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def modules(package):
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("module", modules(prunekit), ids=lambda m: m.__name__)
def test_docstring_examples_are_true(module):
    assert not doctest.testmod(module).failed


def test_every_plugin_file_is_an_entry_point():
    groups = ("prunekit", "prunekit.commands")
    points = {p.value for g in groups for p in importlib.metadata.entry_points(group=g)}
    for module in modules(prunekit.plugins):
        if any(name.startswith("prunekit_") for name in vars(module)):
            assert module.__name__ in points


def test_the_core_imports_nothing_else_of_prunekit():
    for path in set((ROOT / "core").rglob("*.py")) - set((ROOT / "core" / "prunekit").glob("*.py")):
        assert not [
            m for m in imports(path) if re.match(r"prunekit\.(hf|engine|plugins|testing|cli)", m)
        ]


def test_the_core_knows_torch_from_annotations_alone():
    paths = [p for p in (ROOT / "core").rglob("*.py") if "torch" in "".join(imports(p))]
    assert sorted(p.name for p in paths) == ["batch.py", "interfaces.py", "repair.py"]


def test_searchers_know_nothing_of_torch():
    for path in (ROOT / "plugins" / "searchers").glob("*.py"):
        assert not {"torch", "transformers"} & {m.split(".")[0] for m in imports(path)}


def test_no_module_imports_torch_before_it_is_needed():
    heavy = {"torch", "transformers", "datasets", "lm_eval", "matplotlib", "jinja2", "ray"} | {
        "pandas"
    }
    derived = {"prunekit.plugins.commands.heal.trainer"}  # its classes are those of transformers
    for folder in ("core", "hf", "engine", "plugins", "testing", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            found = imports(path, only_at_import=True)
            assert not derived & set(found), path
            if f"prunekit.{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}" not in derived:
                assert not heavy & {m.split(".")[0] for m in found}, path


def test_every_hook_is_in_the_readme():
    from prunekit.core import hookspecs

    for name in vars(hookspecs):
        if name.startswith("prunekit_"):
            assert f"`{name}()`" in README


def test_every_built_in_plugin_is_in_the_readme(registry):
    for entry in registry.entries:
        assert f"`{entry.name}`" in README


def test_no_example_takes_the_name_of_a_built_in_plugin(registry):
    built_in = {entry.name for entry in registry.entries}
    for page, text in {"README.md": README, **PAGES}.items():
        for block in blocks("python", text):
            assert not built_in & set(re.findall(r'^\s+name(?:: .*)? = "(.*)"', block, re.M)), page


def commands(text):
    lines = "\n".join(blocks("sh", text)).replace("\\\n", " ").splitlines()
    typed = [command.strip() for line in lines for command in line.split("&&")]
    return [shlex.split(command) for command in typed if command.startswith("prunekit ")]


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """What one document's commands measured, the next need not measure again."""
    folder = tmp_path_factory.mktemp("measured")
    for name in ("journals", "evaluations", "studies"):
        (folder / name).mkdir()
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, measured, proven_once):
    """Where the files lie of which the documents speak."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    narrow(tmp_path / "examples" / "demo.yaml")
    (tmp_path / "prunekit-runs").mkdir()
    for folder in measured.iterdir():
        (tmp_path / "prunekit-runs" / folder.name).symlink_to(folder)
    (tmp_path / "my-text.txt").write_text("Once upon a time there was a king. " * 200)
    item = '{"question": "Who barks?", "choices": ["the dog", "the cat"], "answer": 0}\n'
    assert item.strip() in README
    (tmp_path / "items.jsonl").write_text(item * 2)
    return tmp_path


def narrow(path):
    """One corner of the study's grid: the whole of it takes minutes."""
    study = yaml.safe_load(path.read_text())
    study["models"] = study["models"][:1]
    study["objectives"] = {"ppl": {"samples": 2}, "margin": {"samples": 2}}
    study["searchers"] = {name: study["searchers"][name] for name in ("one-shot", "genetic")}
    study |= {
        "budgets": [3],
        "seeds": [0],
        "draws": [0],
        "evaluate": {"tasks": ["demo"], "limit": 4},
    }
    path.write_text(yaml.safe_dump(study))


def run(words, place, monkeypatch, capsys):
    """Run a command as a shell would; one that wants the hub must get as far as to ask for it."""
    expanded = [str(p) for w in words for p in (sorted(place.glob(w)) if "*" in w else [w])]
    monkeypatch.setattr(sys, "argv", expanded)
    try:
        prunekit.cli.main.main()
    except SystemExit as stop:
        error = capsys.readouterr().err
        if stop.code and not (wants_the_hub(words) and "not in the local cache" in error):
            pytest.fail(f"{shlex.join(words)}: {error}")


def wants_the_hub(words):
    return any(re.fullmatch(r"[\w.-]+/[\w.-]+", word) for word in words)


@pytest.mark.parametrize("words", commands(README), ids=shlex.join)
def test_every_command_of_the_readme_runs(words, place, monkeypatch, capsys):
    run(words, place, monkeypatch, capsys)


@pytest.mark.parametrize("page", [p for p in PAGES if commands(PAGES[p]) and p not in OWN_TEST])
def test_the_commands_of_every_page_run_one_after_the_other(page, place, monkeypatch, capsys):
    for words in commands(PAGES[page]):
        run(words, place, monkeypatch, capsys)


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_every_link_of_a_document_leads_somewhere(page):
    text = README if page == "README.md" else PAGES[page]
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        target = (ROOT / page).parent.joinpath(link) if link else ROOT / page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{link}#{anchor}"


def test_the_python_of_the_readme_runs(place):
    use, plugin = blocks("python")
    exec(use, {})
    assert (place / "pruned-from-python" / "config.json").exists()
    namespace = {"__name__": "readme"}
    sys.modules["readme"] = type(sys)("readme")
    exec(plugin, namespace)
    from prunekit.core import Problem
    from prunekit.core.driver import Driver

    (searcher,) = namespace["prunekit_searchers"]()
    choice = Driver(searcher(), Problem(8, 2)).run(lambda subsets: [float(sum(s)) for s in subsets])
    assert choice.removed == {0, 1}


def test_the_python_of_its_page_runs(place, capsys):
    namespace = {}
    for block in blocks("python", PAGES["docs/python.md"]):
        exec(block, namespace)
    assert "GateMissed" not in capsys.readouterr().err
    assert namespace["study"].runs["difference"].notna().all()


def test_the_page_of_python_names_every_function_and_error():
    import prunekit

    page = PAGES["docs/python.md"]
    unnamed = [
        x for x in prunekit.__all__ if f"`{x}`" not in page and f"`prunekit.{x}`" not in page
    ]
    assert unnamed == ["PrunekitError"] or not unnamed


def test_the_yaml_of_the_readme_is_a_configuration(tmp_path, registry):
    from prunekit.engine.config import parse_file

    (text,) = blocks("yaml")
    (tmp_path / "a.yaml").write_text(text)
    assert parse_file(tmp_path / "a.yaml", {}, registry).options == {"genetic": {"population": 8}}
