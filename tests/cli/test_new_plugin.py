"""`new-plugin`: what it writes, and what it refuses. tests/test_distributions.py installs it."""

import pytest

from prunekit.core.options import options_of
from prunekit.core.plugin_checks import RESERVED
from prunekit.core.registry import KINDS
from prunekit.workflows.config import Settings


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
    article = "an" if kind == "objective" else "a"
    assert f"`my-own` is {article} {kind} for prunekit." in (folder / "README.md").read_text()
    for path in written:
        assert "$" not in (folder / path).read_text()


def test_it_needs_this_release_or_one_that_keeps_its_promises(prunekit, tmp_path):
    prunekit("new-plugin", "mine", "--kind", "searcher")
    assert '"prunekit>=0.1,<0.2"' in (tmp_path / "prunekit-mine" / "pyproject.toml").read_text()


def test_the_prefix_of_distributions_may_be_typed_too(prunekit, tmp_path):
    prunekit("new-plugin", "prunekit-mine", "--kind", "searcher", "--to", "elsewhere")
    assert 'name: ClassVar[str] = "mine"' in (
        tmp_path / "elsewhere" / "prunekit_mine.py"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["Mine", "my_own", "1-own", "own-", "my own", "", "prunekit-"])
def test_a_name_that_cannot_be_one_is_refused(prunekit, tmp_path, name):
    status, _, err = prunekit("new-plugin", name, "--kind", "searcher")
    assert status == 1
    assert "expected lower-case words joined by hyphens" in err
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(prunekit):
    status, _, err = prunekit("new-plugin", "genetic", "--kind", "objective")
    assert status == 1
    assert "a searcher called 'genetic' is installed already, from prunekit 0.1.0" in err


def test_a_name_that_is_a_setting_is_refused(prunekit, tmp_path):
    assert {o.name for o in options_of(Settings) if "_" not in o.name} == RESERVED
    status, _, err = prunekit("new-plugin", "seed", "--kind", "searcher")
    assert status == 1
    assert err.startswith("error: 'seed' is a setting of a search; choose another name")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(prunekit, tmp_path):
    (tmp_path / "there").mkdir()
    status, _, err = prunekit("new-plugin", "mine", "--kind", "searcher", "--to", "there")
    assert (status, "there exists already" in err) == (1, True)
    assert not list((tmp_path / "there").iterdir())


def test_from_python(tmp_path, monkeypatch):
    import prunekit
    from prunekit.core import ConfigError

    monkeypatch.chdir(tmp_path)
    assert (prunekit.new_plugin("mine", "model") / "pyproject.toml").is_file()
    with pytest.raises(ConfigError, match="--kind 'sercher'.* Did you mean 'searcher'"):
        prunekit.new_plugin("other", "sercher")
    assert prunekit.list_plugins("ppl").plugins[0].kind == "objective"
