"""Broken plugins of every sort cost one line each, and hurt nobody else."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SEARCHER = """
from dataclasses import dataclass
from prunekit.core import hookimpl, option
@dataclass(frozen=True)
class Mine:
    "A searcher."
    name = "{name}"
    def search(self, problem):
        {body}
@hookimpl
def prunekit_searchers():
    return [Mine]
"""
ALL = "frozenset(problem.removable[: problem.budget])"
SOUND = f"yield [{ALL}]; return {ALL}"


def searcher(name, body=SOUND, **changes):
    source = SEARCHER.format(name=name, body=body)
    for old, new in changes.values():
        assert old in source
        source = source.replace(old, new)
    return source


NOT_LOADED = {
    "prunekit-import-error": ("import not_there", "No module named 'not_there'"),
    "prunekit-syntax-error": ("def broken(:", "SyntaxError"),
    "prunekit-name-error": ("surely_not_defined", "NameError"),
    "prunekit-exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "prunekit-loud": ("print('hello'); raise ValueError('loud')", "ValueError: loud"),
    "prunekit-misspelt-hook": (
        searcher("misspelt", hook=("def prunekit_searchers", "def prunekit_searcher")),
        "unknown hook 'prunekit_searcher'",
    ),
    "prunekit-hook-arguments": (
        searcher("arguments", hook=("prunekit_searchers()", "prunekit_searchers(config)")),
        "must take no arguments",
    ),
    "prunekit-hook-raises": (
        searcher("raises", hook=("return [Mine]", "raise RuntimeError('no')")),
        "RuntimeError: no",
    ),
    "prunekit-no-list": (
        searcher("no-list", hook=("return [Mine]", "return 3")),
        "must return a list of classes, not 3",
    ),
    "prunekit-no-class": (
        searcher("no-class", hook=("return [Mine]", "return ['Mine']")),
        "must return classes, not 'Mine'",
    ),
    "prunekit-nothing": ("from prunekit.core import hookimpl", "offers nothing"),
    "prunekit-too-new": (searcher("too-new") + "PRUNEKIT_API = 99", "upgrade prunekit"),
    "prunekit-no-search": (
        searcher("no-search", method=("def search", "def seek")),
        "has no method `search`",
    ),
    "prunekit-no-flag": (
        searcher("no-flag", field=('"A searcher."', 'sizes: list = option(None, "sizes")')),
        "Mine.sizes cannot be a flag",
    ),
    "prunekit-no-default": (
        searcher("no-default", field=('"A searcher."', "size: int")),
        "Mine.size needs a default",
    ),
    "prunekit-no-number": (
        searcher(
            "no-number",
            field=('"A searcher."', '"A searcher."\n    size: int = option("many", "how many")'),
        ),
        "a default that it would not take from a user: size: expected int, got 'many'",
    ),
    "prunekit-wild-default": (
        searcher(
            "wild",
            field=('"A searcher."', '"A searcher."\n    size: int = option(0, "size", low=1)'),
        ),
        "a default that it would not take from a user: size: 0 is outside 1..",
    ),
    "prunekit-no-help": (
        searcher(
            "no-help", field=('"A searcher."', '"A searcher."\n    size: int = option(3, None)')
        ),
        "Mine.size needs a help text, not None",
    ),
    "prunekit-no-bound": (
        searcher(
            "no-bound",
            field=('"A searcher."', '"A searcher."\n    size: int = option(3, "size", low="a")'),
        ),
        "Mine.size: 'a' is no number to compare",
    ),
    "prunekit-setting": (searcher("seed"), "searcher 'seed' is called like a setting of a search"),
    "prunekit-no-text": (
        searcher("no-text", doc=('"A searcher."', "__doc__ = 3")),
        "searcher 'no-text' has a docstring that is no text: 3",
    ),
    "prunekit-twice": (
        searcher("twice", hook=("return [Mine]", "return [Mine, Mine]")),
        "offers twice twice",
    ),
}
LOADED = {
    "prunekit-prints": "print('hello')\n" + searcher("prints"),
    "prunekit-duplicate": searcher("genetic"),
    "prunekit-crashes": searcher("crashes", "yield [frozenset({1})]; raise KeyError(3)"),
    "prunekit-leaves": searcher("leaves", "import sys; yield [frozenset({1})]; sys.exit()"),
    "prunekit-wrong-size": searcher("wrong-size", "yield [frozenset({1})]; return frozenset()"),
    "prunekit-no-generator": searcher("no-generator", "return frozenset({1})"),
    "prunekit-lists": searcher("lists", "yield [[1, 2]]"),
    "prunekit-endless": searcher(
        "endless", f"import time\n        while not time.sleep(0.01): yield [{ALL}]"
    ),
    "prunekit-slow-needs": searcher(
        "slow-needs", method=("def search", "needs = 3\n    def search")
    ),
}
QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24", "-k", "2"]


@pytest.fixture
def all_of_them(install):
    for name, (source, _) in NOT_LOADED.items():
        install(name, source)
    for name, source in LOADED.items():
        install(name, source)


def test_all_of_them_at_once_cost_one_line_each(prunekit, all_of_them):
    status, out, err = prunekit("list-plugins")
    assert status == 0
    lines = err.splitlines()
    for name, (_, reason) in NOT_LOADED.items():
        (line,) = [line for line in lines if line.startswith(f"not loaded: {name} 1.0")]
        assert reason in line
    others = [line for line in lines if not any(f" {name} " in line for name in NOT_LOADED)]
    assert others == [
        "not loaded: prunekit-slow-needs 1.0, searcher slow-needs: "
        "searcher 'slow-needs' (prunekit_slow_needs.Mine) failed: "
        "TypeError: `needs` must be a tuple of Signal objects, not 3; those that come with "
        "prunekit are in prunekit.plugins.searchers.signals; PRUNEKIT_DEBUG=1 shows where",
        "same name: searcher 'genetic': write genetic or prunekit-duplicate:genetic",
    ]
    assert "hello" not in out + err
    for name in ("one-shot", "ppl", "qwen3", "local", "crashes"):
        assert name in out


def test_a_search_with_built_in_plugins_works_beside_all_of_them(prunekit, all_of_them, tiny_model):
    status, out, err = prunekit("search", "--model", tiny_model(), "--json", *QUICK)
    of_plugins = [line for line in err.splitlines() if "beats the dense one" not in line]
    assert (status, of_plugins) == (0, [])
    assert len(json.loads(out)["removed"]) == 2
    status, _, _ = prunekit(
        "search", "--model", tiny_model(), "--searcher", "genetic", "--dry-run", *QUICK
    )
    assert status == 0


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("crashes", "failed: KeyError: 3; PRUNEKIT_DEBUG=1 shows where"),
        ("leaves", "failed: SystemExit; PRUNEKIT_DEBUG=1 shows where"),
        ("wrong-size", "returned none (0 blocks), but the budget is 2"),
        ("no-generator", "`search` must be a generator"),
        ("lists", "must give subsets as frozensets of int, not [1, 2]"),
        ("slow-needs", "failed: TypeError: `needs` must be a tuple of Signal objects, not 3"),
        ("misspelt", "no searcher is called 'misspelt'. Not loaded: prunekit-misspelt-hook 1.0, "),
        (
            "elsewhere",
            f" {len(NOT_LOADED)} plugins did not load; `prunekit list-plugins` says why.",
        ),
    ],
)
def test_one_that_is_chosen_all_the_same_costs_one_line(
    prunekit, all_of_them, tiny_model, name, line
):
    status, out, err = prunekit("search", "--model", tiny_model(), "--searcher", name, *QUICK)
    assert (status, out) == (1, "")
    assert line in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_search_is_cut_by_ctrl_c(install, tmp_path, tiny_model, stop):
    install("prunekit-endless", LOADED["prunekit-endless"])
    command = [sys.executable, "-m", "prunekit", "search", "--searcher", "endless"]
    running = subprocess.Popen(
        [*command, "--model", str(tiny_model()), *QUICK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("prunekit-runs/journals/*/*.jsonl")):
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(stop)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (128 + stop, "")
    assert err.startswith("stopped. ")
    assert len(err.strip().splitlines()) == 1


def test_debugging_shows_where_each_of_them_failed(prunekit, install, monkeypatch):
    install("prunekit-import-error", "import not_there")
    install("prunekit-exit", "import sys; sys.exit(3)")
    monkeypatch.setenv("PRUNEKIT_DEBUG", "1")
    status, out, err = prunekit("list-plugins")
    assert status == 0
    assert err.count("Traceback") == 2
    assert "import not_there" in err
    assert "one-shot" in out


def test_an_objective_that_fails_is_named(prunekit, install, tiny_model):
    install(
        "prunekit-sour",
        "from prunekit.core import hookimpl\n"
        "from prunekit.plugins.objectives.perplexity import Perplexity\n"
        "class Sour(Perplexity):\n    'Fails.'\n    name = 'sour'\n"
        "    def measure(self, output, batch): return output.sour\n"
        "@hookimpl\ndef prunekit_objectives(): return [Sour]\n",
    )
    quick = [word.replace("ppl", "sour") for word in QUICK]
    status, _, err = prunekit("search", "--model", tiny_model(), "--objective", "sour", *quick)
    assert status == 1
    assert "objective 'sour' (prunekit_sour.Sour) failed: AttributeError" in err
    assert len(err.strip().splitlines()) == 1


def test_an_option_that_a_plugin_refuses_is_the_users_mistake(prunekit, install):
    body = "if self.size == 5: raise ValueError('five is right out')"
    install(
        "prunekit-picky",
        searcher(
            "picky",
            field=(
                '"A searcher."',
                f'size: int = option(3, "how many")\n    def __post_init__(self):\n        {body}',
            ),
        ),
    )
    status, _, err = prunekit("search", "--searcher", "picky", "--picky.size", "5")
    assert (status, err) == (1, "error: picky: five is right out\n")
