"""`new-plugin`: what it writes, and what it refuses. tests/test_distributions.py installs it."""

import re
import tomllib

import pytest

from prunekit.core.contracts import RESERVED
from prunekit.core.options import options_of
from prunekit.core.registry import KINDS
from prunekit.engine.config import NO_REPAIR, Settings


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_written(prunekit, tmp_path, kind):
    status, out, err = prunekit("new-plugin", "my-own", "--kind", kind)
    assert (status, err) == (0, "")
    folder = tmp_path / "prunekit-my-own"
    written = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert written == [
        "README.md",
        "prunekit_my_own.py",
        "pyproject.toml",
        "tests/test_prunekit_my_own.py",
    ]
    assert f"class MyOwn{kind.capitalize()}" in (folder / "prunekit_my_own.py").read_text()
    assert "cd prunekit-my-own && pip install" in out
    a_kind = {"objective": "an objective", "model": "a model family"}.get(kind, f"a {kind}")
    assert f"`my-own` is {a_kind} for prunekit." in (folder / "README.md").read_text()
    description = f'description = "my-own, {a_kind} for prunekit"'
    assert description in (folder / "pyproject.toml").read_text()
    for path in written:
        assert "$" not in (folder / path).read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_ends_in_its_kind_does_not_say_it_twice(prunekit, tmp_path, kind):
    prunekit("new-plugin", f"my-{kind}", "--kind", kind)
    module = (tmp_path / f"prunekit-my-{kind}" / f"prunekit_my_{kind}.py").read_text()
    assert f"class My{kind.capitalize()}" in module
    assert 2 * kind.capitalize() not in module


@pytest.mark.parametrize("kind", KINDS)
def test_imports_are_sorted_with_the_own_module_last(prunekit, tmp_path, kind):
    prunekit("new-plugin", "my-own", "--kind", kind)
    folder = tmp_path / "prunekit-my-own"
    text = (folder / "tests" / "test_prunekit_my_own.py").read_text()
    above, *_ = re.split(r"\n\n(from prunekit_my_own import .*)\n\n\n", text)
    lines = above.splitlines()[2:]
    assert lines == sorted(lines, key=lambda line: (line.startswith("from"), line))
    rules = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert rules == {"extend-select": ["I"], "isort": {"known-first-party": ["prunekit_my_own"]}}


def test_it_needs_this_release_or_one_that_keeps_its_promises(prunekit, tmp_path):
    prunekit("new-plugin", "mine", "--kind", "searcher")
    assert '"prunekit>=0.2,<0.3"' in (tmp_path / "prunekit-mine" / "pyproject.toml").read_text()


def test_the_prefix_of_distributions_may_be_typed_too(prunekit, tmp_path):
    prunekit("new-plugin", "prunekit-mine", "--kind", "searcher", "--to", "elsewhere")
    assert 'name: ClassVar[str] = "mine"' in (
        tmp_path / "elsewhere" / "prunekit_mine.py"
    ).read_text(encoding="utf-8")


NO_NAMES = ["Mine", "my_own", "1-own", "own-", "my own", "", "prunekit-"]
CODE = ['own"""\nimport os', "own\n", 'own"\n[tool]', "own; touch PWNED", "own$kind"]


@pytest.mark.parametrize("name", [*NO_NAMES, *CODE])
def test_a_name_that_cannot_be_one_is_refused(prunekit, tmp_path, name):
    status, _, err = prunekit("new-plugin", name, "--kind", "searcher")
    assert status == 1
    assert "expected lower-case words joined by hyphens" in err
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(prunekit):
    status, _, err = prunekit("new-plugin", "genetic", "--kind", "objective")
    assert status == 1
    assert "a searcher called 'genetic' is installed already, from prunekit 0.2.0" in err
    status, _, err = prunekit("new-plugin", "ppl", "--kind", "searcher")
    assert status == 1
    assert "an objective called 'ppl' is installed already, from prunekit 0.2.0" in err
    assert err.endswith("; choose another name\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("class", "a word of Python"), ("lambda", "a word of Python"), ("prunekit", "itself")],
)
def test_a_name_that_would_be_mistaken_is_refused(prunekit, tmp_path, name, reason):
    status, _, err = prunekit("new-plugin", name, "--kind", "searcher")
    assert status == 1
    assert reason in err
    assert f"choose another name, as `my-{name}`" in err
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_a_setting_is_refused(prunekit, tmp_path):
    settings = {o.name for o in options_of(Settings) if "_" not in o.name}
    assert {*settings, NO_REPAIR} == RESERVED
    status, _, err = prunekit("new-plugin", "seed", "--kind", "searcher")
    assert status == 1
    assert err.startswith("error: 'seed' is a setting of a search; choose another name")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(prunekit, tmp_path):
    (tmp_path / "there").mkdir()
    status, _, err = prunekit("new-plugin", "mine", "--kind", "searcher", "--to", "there")
    assert (status, "there exists already" in err) == (1, True)
    assert "as --to there/prunekit-mine" in err
    assert not list((tmp_path / "there").iterdir())


def test_the_folder_that_one_is_in_cannot_be_written(prunekit, tmp_path):
    status, _, err = prunekit("new-plugin", "mine", "--kind", "searcher", "--to", ".")
    assert (status, "as --to prunekit-mine" in err) == (1, True)
    assert "remove it" not in err
    assert not list(tmp_path.iterdir())


def test_from_python(tmp_path, monkeypatch):
    import prunekit
    from prunekit.core import ConfigError

    monkeypatch.chdir(tmp_path)
    assert (prunekit.new_plugin("mine", "model") / "pyproject.toml").is_file()
    with pytest.raises(ConfigError, match="--kind 'sercher'.* Did you mean 'searcher'"):
        prunekit.new_plugin("other", "sercher")
    assert prunekit.list_plugins("ppl").plugins[0].kind == "objective"
