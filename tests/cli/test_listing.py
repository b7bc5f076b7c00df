"""What `list-plugins` tells."""

import json
import os
import subprocess
import sys

import pytest

PLAIN = """
from prunekit.core import hookimpl
class Plain:
    "Removes the first blocks."
    name = "{name}"
    paper = "arXiv 1234.56789"
    def search(self, problem):
        yield [frozenset({{1}})]
@hookimpl
def prunekit_searchers():
    return [Plain]
"""


def words(text):
    return " ".join(text.split())


def test_one_plugin_is_shown_with_paper_signals_source_and_ranges(prunekit):
    _, out, _ = prunekit("list-plugins", "cbo")
    assert "paper   arXiv 2602.00161" in out
    needs = next(line for line in out.splitlines() if line.startswith("needs"))
    assert words(needs) == (
        "needs losses only; gate_gradients with hessian=fisher; gate_hessian with hessian=exact"
    )
    source = next(line for line in out.splitlines() if line.startswith("source"))
    assert source.endswith("plugins/searchers/cbo.py")
    assert "0.." in out


def test_flags_are_shown_whole_however_long_their_values_are(prunekit):
    _, out, _ = prunekit("list-plugins", "ppl")
    for flag in ("data", "samples", "length", "packing", "add-bos", "seed"):
        assert f" --ppl.{flag} " in out
    assert "auto|documents|stream, by default auto" in out
    lines = [line for line in out.splitlines() if not line.startswith("source ")]
    assert max(map(len, lines)) <= 80  # but for a path, which is for copying


def test_every_searcher_and_objective_after_a_paper_says_which(prunekit):
    _, out, _ = prunekit("list-plugins", "--json")
    papers = {p["name"]: p["paper"] for p in json.loads(out)["plugins"]}
    assert {name for name, paper in papers.items() if paper} >= {
        *("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select"),
        *("ppl", "margin", "kl"),
    }


def test_json_holds_everything(prunekit, install):
    install("prunekit-plain", PLAIN.format(name="plain"), version="0.3")
    install("prunekit-broken", "import not_there")
    install("prunekit-twin", PLAIN.format(name="genetic"))
    status, out, err = prunekit("list-plugins", "--json")
    found = json.loads(out)
    assert (status, err, found["schema"]) == (0, "", 1)
    plugins = {p["name"]: p for p in found["plugins"]}
    assert plugins["plain"] == {
        "kind": "searcher",
        "name": "plain",
        "summary": "Removes the first blocks.",
        "description": "Removes the first blocks.",
        "distribution": "prunekit-plain",
        "version": "0.3",
        "module": "prunekit_plain",
        "file": plugins["plain"]["file"],
        "paper": "arXiv 1234.56789",
        "needs": {"": []},
        "options": [],
    }
    assert plugins["plain"]["file"].endswith("prunekit_plain.py")
    assert plugins["genetic"]["options"][0] == {
        "name": "population",
        "flag": "--genetic.population",
        "type": "int",
        "default": 16,
        "range": "2..",
        "help": "subsets per generation",
    }
    assert list(found["failures"]) == ["prunekit-broken 1.0, entry point prunekit_broken"]
    assert found["twins"] == {"searcher 'genetic'": "write genetic or prunekit-twin:genetic"}


def test_json_of_one_plugin_is_that_plugin_alone(prunekit):
    _, out, _ = prunekit("list-plugins", "ppl", "--json")
    assert [p["name"] for p in json.loads(out)["plugins"]] == ["ppl"]


def test_a_plugin_that_is_not_there_brings_the_nearest_or_says_what_to_do(prunekit):
    status, _, err = prunekit("list-plugins", "gentic")
    assert (status, "Did you mean 'genetic'?" in err) == (1, True)
    _, _, err = prunekit("list-plugins", "not-installed")
    assert "If it is of another distribution, pip install that." in err


def test_what_is_left_out_is_told_when_asked(prunekit, install, monkeypatch):
    install("prunekit-plain", PLAIN.format(name="plain"))
    monkeypatch.setenv("PRUNEKIT_PLUGINS", "prunekit")
    _, out, _ = prunekit("list-plugins", "-v")
    assert "disabled by PRUNEKIT_PLUGINS: prunekit-plain 1.0, entry point prunekit_plain" in out


@pytest.fixture
def start(install, tmp_path):
    """List plugins in a process of their own, where nothing heavy is imported yet."""

    def run(*more):
        return subprocess.run(
            [sys.executable, *more],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_one_that_imports_torch_is_named_with_its_seconds(start, install, tmp_path):
    install("prunekit-slow", "import torch\n" + PLAIN.format(name="slow"))
    install("prunekit-quick", PLAIN.format(name="quick"))
    work = "import time\nend = time.process_time() + 0.25\nwhile time.process_time() < end: pass\n"
    (tmp_path / "site" / "torch.py").write_text(work)
    out = start("-m", "prunekit", "list-plugins", "-v")
    (line,) = [line for line in out.splitlines() if line.startswith("slow:")]
    assert line.startswith("slow: prunekit-slow 1.0, entry point prunekit_slow: takes 0.2")
    assert "and imports torch; its author should import that where it is used" in line
    assert "imported all plugins in 0." in out


def test_with_twenty_plugins_nothing_heavy_is_imported_at_the_start(start, install):
    for number in range(20):
        install(f"prunekit-plugin-{number}", PLAIN.format(name=f"plugin-{number}"))
    code = (
        "import sys, prunekit.cli.main as m; r = m.load_commands(); m.make_app(r)\n"
        "from prunekit.core.registry import HEAVY\n"
        "print(len(r.entries), [n for n in (*HEAVY, 'numpy', 'pandas') if n in sys.modules])"
    )
    count, heavy = start("-c", code).split(maxsplit=1)
    assert int(count) > 20 + 15
    assert heavy.strip() == "[]"
