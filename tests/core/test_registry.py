"""Plugins of other distributions: found, told apart, and isolated when broken."""

import os
import sys

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
FOO = SEARCHER.format(name="foo")


def only_failure(registry):
    ((label, reason),) = registry.failures.items()
    return f"{label}: {reason}"


def test_a_foreign_searcher_is_found_beside_the_built_in_ones(install):
    install("prunekit-foo", FOO, version="0.3")
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
        ("from prunekit.core import hookimpl", "marked with `@hookimpl`"),
        ("PRUNEKIT_API = 2", "upgrade prunekit"),
        ("PRUNEKIT_API = 0", "upgrade the plugin"),
        (SEARCHER.format(name="Two Words"), "not 'Two Words'"),
        (
            SEARCHER.replace("prunekit_searchers", "prunekit_searcher"),
            "unknown hook 'prunekit_searcher'",
        ),
        (
            SEARCHER.replace("prunekit_searchers()", "prunekit_searchers(a)"),
            "the hook 'prunekit_searchers' must take no arguments",
        ),
        (SEARCHER.replace("[Mine]", "3"), "must return a list of classes, not 3"),
        (SEARCHER.replace("[Mine]", "None"), "offers nothing: its hooks return no class"),
        (SEARCHER.replace("[Mine]", "[Mine(), 3]"), "must return classes, not <"),
        (FOO.replace("def search(", "def find("), "searcher 'foo' has no method `search`"),
        (
            FOO.replace("prunekit_searchers", "prunekit_backends"),
            "backend 'foo' has no method `open`",
        ),
        ("PRUNEKIT_API = 'two'", "PRUNEKIT_API must be a whole number, not 'two'"),
        ("class Odd(BaseException): pass\nraise Odd('out of here')", "Odd: out of here"),
    ],
)
def test_a_broken_plugin_is_one_line_and_the_others_load(install, source, reason):
    install("prunekit-broken", source)
    registry = load()
    assert reason in only_failure(registry)
    assert "\n" not in only_failure(registry)
    assert only_failure(registry).startswith("prunekit-broken 1.0, entry point prunekit_broken: ")
    assert registry.get("searcher", "genetic").source == "prunekit"


@pytest.mark.parametrize("word", ["Prunekit_Foo", "prunekit_foo", " prunekit-foo, prunekit"])
def test_an_environment_variable_limits_what_is_loaded(install, monkeypatch, word):
    install("prunekit-foo", FOO)
    install("prunekit-broken", "import not_there")
    monkeypatch.setenv("PRUNEKIT_PLUGINS", word)
    registry = load()
    assert {e.source for e in registry.entries} == (
        {"prunekit-foo", "prunekit"} if "," in word else {"prunekit-foo"}
    )
    assert not registry.failures
    assert "prunekit-broken 1.0, entry point prunekit_broken" in registry.left_out
    with pytest.raises(ConfigError, match="PRUNEKIT_PLUGINS leaves out"):
        registry.get("searcher", "absent")


def test_an_entry_point_can_be_named_too(monkeypatch, forget_plugins):
    monkeypatch.setenv("PRUNEKIT_PLUGINS", "genetic,ppl")
    forget_plugins()
    assert {e.name for e in load().entries} == {"ppl", "genetic"}


def test_a_name_in_that_variable_that_means_nothing_is_told(monkeypatch, forget_plugins):
    monkeypatch.setenv("PRUNEKIT_PLUGINS", "prunekit,prunekit-fooo")
    forget_plugins()
    assert only_failure(load()) == (
        "PRUNEKIT_PLUGINS: names prunekit-fooo, but nothing that is installed is called so"
    )


def test_what_a_plugin_imports_is_noted(install, monkeypatch, tmp_path):
    install("prunekit-heavy", "import weighty\n" + FOO)
    install("prunekit-light", "def later(): import weighty\n" + FOO)
    work = "import time\nend = time.process_time() + 0.02\nwhile time.process_time() < end: pass\n"
    (tmp_path / "site" / "weighty.py").write_text(work + "time.sleep(0.5)  # as on a busy machine")
    monkeypatch.setattr("prunekit.core.registry.HEAVY", ("weighty",))
    loads = load().loads
    monkeypatch.delitem(sys.modules, "weighty")
    heavy = loads["prunekit-heavy 1.0, entry point prunekit_heavy"]
    assert heavy.heavy == ("weighty",)
    assert 0.02 <= heavy.seconds < 0.5
    assert loads["prunekit-light 1.0, entry point prunekit_light"].heavy == ()


def test_a_plugin_that_prints_at_import_is_silenced(install, capfd):
    source = SEARCHER.format(name="loud").replace("return [", "print('asked'); return [")
    install("prunekit-loud", f"import os\nprint('hello')\nos.write(1, b'raw')\n{source}")
    assert load().get("searcher", "loud")
    assert capfd.readouterr().out == ""
    os.write(1, b"after")
    assert capfd.readouterr().out == "after"


def test_two_plugins_of_one_name_are_told_apart_by_distribution(install):
    for twin in ("prunekit-one", "prunekit-other"):
        install(twin, SEARCHER.format(name="lucky"))
    registry = load()
    with pytest.raises(ConfigError, match="write prunekit-o.*:lucky or prunekit-o.*:lucky"):
        registry.get("searcher", "lucky")
    assert registry.get("searcher", "prunekit-one:lucky").source == "prunekit-one"
    assert registry.get("searcher", "prunekit-other:lucky").source == "prunekit-other"


def test_a_plain_name_means_the_built_in_plugin_whoever_else_takes_it(install):
    install("prunekit-twin", SEARCHER.format(name="genetic"))
    install("prunekit-namesake", SEARCHER.format(name="ppl"))
    registry = load()
    for name in ("genetic", "prunekit:genetic"):
        assert registry.get("searcher", name).source == "prunekit"
    assert registry.get("searcher", "prunekit-twin:genetic").source == "prunekit-twin"
    labels = {entry.source: registry.label(entry) for entry in registry.called("genetic")}
    assert labels == {"prunekit": "genetic", "prunekit-twin": "prunekit-twin:genetic"}
    assert [e.kind for e in registry.named("ppl")] == ["objective"]
    assert registry.label(registry.get("searcher", "ppl")) == "prunekit-namesake:ppl"


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
    registry = load()
    assert "Traceback" in only_failure(registry)
    assert "import not_there" in only_failure(registry)
    assert registry.get("searcher", "genetic")
