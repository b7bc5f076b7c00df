"""Plugins of other distributions: found, told apart, and isolated when broken."""

import pytest

from prunekit.core import ConfigError
from prunekit.core.registry import load

SEARCHER = """
from prunekit.core import hookimpl
class Mine:
    \"\"\"Removes the first blocks.\"\"\"
    name = "{name}"
    def search(self, problem):
        yield [frozenset(problem.removable[:problem.budget])]
        return frozenset(problem.removable[:problem.budget])
@hookimpl
def prunekit_searchers():
    return [Mine]
"""


def only_failure(registry):
    ((label, reason),) = registry.failures.items()
    return f"{label}: {reason}"


def test_a_foreign_searcher_is_found_beside_the_built_in_ones(install):
    install("prunekit-foo", SEARCHER.format(name="foo"), version="0.3")
    registry = load()
    entry = registry.get("searcher", "foo")
    assert (entry.source, entry.version, entry.summary) == (
        "prunekit-foo",
        "0.3",
        "Removes the first blocks.",
    )
    assert registry.get("searcher", "genetic").source == "prunekit"
    assert not registry.failures


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("from prunekit.core import hookimpl", "offers nothing: no hook returned a class"),
        ("PRUNEKIT_API = 2", "upgrade prunekit"),
        ("PRUNEKIT_API = 0", "upgrade the plugin"),
        (SEARCHER.format(name="Two Words"), "needs a class attribute `name`"),
        (
            SEARCHER.replace("prunekit_searchers", "prunekit_searcher"),
            "unknown hook 'prunekit_searcher'",
        ),
        (
            SEARCHER.replace("prunekit_searchers()", "prunekit_searchers(a)"),
            "PluginValidationError",
        ),
        (SEARCHER.replace("[Mine]", "3"), "TypeError"),
    ],
)
def test_a_broken_plugin_is_one_line_and_the_others_load(install, source, reason):
    install("prunekit-broken", source)
    registry = load()
    assert reason in only_failure(registry)
    assert "\n" not in only_failure(registry)
    assert only_failure(registry).startswith("prunekit-broken 1.0, entry point prunekit_broken: ")
    assert registry.get("searcher", "genetic").source == "prunekit"


def test_a_plugin_that_prints_at_import_is_silenced(install, capsys):
    install("prunekit-loud", "print('hello')\n" + SEARCHER.format(name="loud"))
    assert load().get("searcher", "loud")
    assert capsys.readouterr().out == ""


def test_two_plugins_of_one_name_are_told_apart_by_distribution(install):
    install("prunekit-twin", SEARCHER.format(name="genetic"))
    registry = load()
    with pytest.raises(ConfigError, match="write prunekit.*:genetic or prunekit.*:genetic"):
        registry.get("searcher", "genetic")
    assert registry.get("searcher", "prunekit-twin:genetic").source == "prunekit-twin"
    assert registry.get("searcher", "prunekit:genetic").source == "prunekit"


def test_an_unknown_name_brings_the_nearest_one():
    with pytest.raises(
        ConfigError, match="no searcher is called 'gentic'. Did you mean 'genetic'?"
    ):
        load().get("searcher", "gentic")


def test_asking_for_a_plugin_that_failed_says_why(install):
    install("prunekit-broken", "import not_there")
    with pytest.raises(ConfigError, match="Not loaded: prunekit-broken 1.0.*not_there"):
        load().get("searcher", "broken")


def test_debugging_shows_the_traceback(install, monkeypatch):
    install("prunekit-broken", "import not_there")
    monkeypatch.setenv("PRUNEKIT_DEBUG", "1")
    with pytest.raises(ModuleNotFoundError):
        load()
