"""Plugins that load, and then answer what they should not: one line that names the plugin."""

import json

import pytest

QUICK = ["--searcher", "one-shot", "-k", "2"]
TEXT = {"data": "demo", "samples": "2", "length": "24"}
BASES = {
    "objective": ("objectives.perplexity", "Perplexity"),
    "model": ("models.llama3", "Llama3"),
    "repair": ("repairs.magnitude", "Magnitude"),
    "backend": ("backends.local", "Local"),
}
PLUGIN = """
from prunekit.core import hookimpl
from prunekit.plugins.{module} import {base} as Base
class Faulty(Base):
    "Answers something else."
    name = "faulty"
    {body}
@hookimpl
def prunekit_{kind}s():
    return [Faulty]
"""


@pytest.fixture
def search(prunekit, install, tiny_model):
    """Search with a faulty plugin of a kind; its exit status and what it printed."""

    def run(kind, body, *more, installed_only=False):
        module, base = BASES[kind]
        source = PLUGIN.format(kind=kind, module=module, base=base, body=body)
        install("prunekit-faulty", source)
        objective = "faulty" if kind == "objective" else "ppl"
        flag = "--adapter" if kind == "model" else f"--{kind}"
        words = [f"--{objective}.{name}={value}" for name, value in TEXT.items()]
        chosen = [] if installed_only else [flag, "faulty"]
        return prunekit("search", "--model", tiny_model(), *QUICK, *chosen, *words, *more)

    return run


def without_chance(err):
    """The lines but that on the loss: without blocks, a random model may well have a better one."""
    return [line for line in err.splitlines() if "beats the dense one" not in line]


def check_one_line(outcome, kind, reason):
    status, out, err = outcome
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {kind} 'faulty' (prunekit_faulty.Faulty) failed: ")
    assert reason in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def calibration_set(self, t): return None", "'NoneType' object is not iterable"),
        ("def calibration_set(self, t): return [1, 2]", "'int' object is not subscriptable"),
        (
            "def calibration_set(self, t):\n"
            "        return [{k: v[0] for k, v in s.items()} for s in super().calibration_set(t)]",
            "must both be [rows, length], not [24] and [24]",
        ),
        ("def calibration_set(self, t): raise SystemExit(0)", "SystemExit: 0"),
        ("def prepare(self, batch, output): return 3", "'int' object is not a mapping"),
        ("def measure(self, output, batch): return 3.0", "cannot unpack non-iterable float"),
        (
            "def measure(self, output, batch):\n"
            "        import numpy; return [numpy.array(['x'] * batch.n_samples)] * 2",
            "`measure` must give numbers, not 'x'",
        ),
        (
            "def measure(self, output, batch): return super().measure(output, batch)[0][:1], "
            "super().measure(output, batch)[1]",
            "`measure` must give 2 sums and weights, one a sample; it gave 1 sums and 2 weights",
        ),
        (
            "def measure(self, output, batch): return [x / 0 for x in "
            "super().measure(output, batch)]",
            "`measure` must give finite weights above 0, not (inf, inf)",
        ),
        (
            "def measure(self, output, batch):\n"
            "        sums, weights = super().measure(output, batch); return sums, 0 * weights",
            "`measure` must give finite weights above 0, not (0, 0)",
        ),
        (
            "def measure(self, output, batch):\n"
            "        sums, weights = super().measure(output, batch); return sums, -weights",
            "`measure` must give finite weights above 0, not (-23, -23)",
        ),
        ("def reduce(self, sums, weights): return 'x'", "could not convert string to float"),
        ("def reduce(self, sums, weights): return {}[0]", "KeyError: 0"),
        ("def readings(self, loss): return {}[0]", "KeyError: 0"),
        ("def readings(self, loss): return 3", "'int' object has no attribute 'items'"),
    ],
)
def test_objectives(search, body, reason):
    check_one_line(search("objective", body), "objective", reason)


OPENED = "def open(self, *args):\n        meter = super().open(*args); {}; return meter"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def open(self, *args): return None", "a meter with `facts`, not NoneType"),
        ("def open(self, *args): raise KeyError(1)", "KeyError: 1"),
        (OPENED.format("meter.facts = None"), "a meter with `facts`, not PrefixMeter"),
        (OPENED.format("meter.measure = lambda wanted: iter([3])"), "gives 3, which was not asked"),
        (OPENED.format("meter.measure = lambda wanted: {}[2]"), "KeyError: 2"),
        (
            OPENED.format(
                "given = meter.measure; from dataclasses import replace; meter.measure = "
                "lambda w: (replace(p, sums=('1', '2')) for p in given(w))"
            ),
            "`measure` must give numbers, not ('1', '2')",
        ),
        (
            OPENED.format("given = meter.measure; meter.measure = lambda w: list(given(w))[1:]"),
            "gives 1 pieces too few; one is that of batch 0 and blocks none",
        ),
        (
            OPENED.format("given = meter.measure; meter.measure = lambda w: 2 * list(given(w))"),
            "which was not asked for",
        ),
        (
            OPENED.format(
                "given = meter.measure; from dataclasses import replace; "
                "meter.measure = lambda w: (replace(piece, sums=()) for piece in given(w))"
            ),
            "`measure` must give 2 sums and weights, one a sample; it gave 0 sums",
        ),
        (OPENED.format("meter.close = None"), "'NoneType' object is not callable"),
    ],
)
def test_backends(search, body, reason):
    check_one_line(search("backend", body), "backend", reason)


GIVEN = "def patches(self, cut): from prunekit.core import Patch; import torch; "
WIDTH = 32


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def patches(self, cut): raise KeyError(1)", "KeyError: 1"),
        ("def patches(self, cut): yield {}[1]", "KeyError: 1"),
        ("def patches(self, cut): return None", "'NoneType' object is not iterable"),
        ("def patches(self, cut): return iter(())", "`patches` must give at least one"),
        ("def patches(self, cut): yield 2.0", "must give objects of Patch, not float"),
        (GIVEN + "yield Patch(0.0)", "must give scales from 0.5 on, not 0.0"),
        (GIVEN + "yield Patch(float('nan'))", "must give scales from 0.5 on, not nan"),
        (GIVEN + "yield Patch(cut.after.norm())", "must give scales from 0.5 on, not tens"),
        (GIVEN + "yield Patch(1.0, [[1.0]])", "must give matrices as tensors of floating-point"),
        (GIVEN + "yield Patch(1.0, cut.fed)", f"must give matrices of [{WIDTH}, {WIDTH}], not ["),
        (
            GIVEN + f"yield Patch(1.0, torch.full(({WIDTH}, {WIDTH}), torch.nan))",
            "must give matrices of finite numbers",
        ),
        ("def tokens_needed(self, width): return {}[width]", f"KeyError: {WIDTH}"),
    ],
)
def test_repairs(search, body, reason):
    check_one_line(search("repair", body), "repair", reason)


def test_a_model_family_that_fails_in_the_middle(search):
    body = (
        "count = 0\n"
        "    def block(self, index, state):\n"
        "        Faulty.count += 1\n"
        "        if Faulty.count > 200: raise KeyError('worn out')\n"
        "        return super().block(index, state)"
    )
    outcome = search("model", body, "--searcher", "exhaustive", "-k", "4")
    check_one_line(outcome, "model", "KeyError: 'worn out'")


HANDLES = "@classmethod\n    def handles(cls, config): {}"


@pytest.mark.parametrize(
    "answer", ["return config.not_there", "return None", "raise SystemExit(4)", "return 'best'"]
)
def test_a_model_family_that_cannot_say_what_it_handles_hurts_nobody(search, answer):
    body = HANDLES.format(answer)
    status, out, err = search("model", body, "--json", installed_only=True)
    assert (status, without_chance(err)) == (0, [])
    assert len(json.loads(out)["removed"]) == 2


def test_where_no_other_family_handles_the_model_its_failure_is_told(
    prunekit, install, tiny_model, monkeypatch
):
    body = HANDLES.format("return config.not_there")
    module, base = BASES["model"]
    install("prunekit-faulty", PLUGIN.format(kind="model", module=module, base=base, body=body))
    monkeypatch.setenv("PRUNEKIT_PLUGINS", "prunekit-faulty,one-shot,ppl,local")
    status, _, err = prunekit("search", "--model", tiny_model(), "--searcher", "one-shot")
    assert status == 1
    assert "no model family handles model type 'llama'" in err
    assert "model 'faulty' (prunekit_faulty.Faulty) failed: AttributeError" in err
    assert len(err.splitlines()) == 1


def test_two_of_one_distribution_that_fail_are_told_apart(
    prunekit, install, tiny_model, monkeypatch
):
    first = PLUGIN.format(
        kind="model",
        module="models.llama3",
        base="Llama3",
        body=HANDLES.format("return config.not_there"),
    )
    second = 'class Other(Faulty):\n    "Another."\n    name = "other"\n@hookimpl'
    source = first.replace("@hookimpl", second).replace("[Faulty]", "[Faulty, Other]")
    install("prunekit-faulty", source)
    monkeypatch.setenv("PRUNEKIT_PLUGINS", "prunekit-faulty,one-shot,ppl,local")
    _, _, err = prunekit("search", "--model", tiny_model(), "--searcher", "one-shot")
    assert "prunekit-faulty 1.0, model faulty: model 'faulty' " in err
    assert "prunekit-faulty 1.0, model other: model 'other' " in err


def test_what_a_plugin_prints_while_it_works_is_no_part_of_the_result(search):
    body = "def measure(self, o, b):\n        print('!')\n        return super().measure(o, b)"
    status, out, err = search("objective", body, "--json")
    assert (status, set(without_chance(err))) == (0, {"!"})
    assert len(json.loads(out)["removed"]) == 2


SEARCHER = """
from dataclasses import dataclass
from prunekit.core import hookimpl
@dataclass(frozen=True)
class Faulty:
    "A searcher."
    name = "faulty"
    {body}
    def search(self, problem):
        yield [frozenset({{1}})]
@hookimpl
def prunekit_searchers():
    return [Faulty]
"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def __init__(self, size): pass", "missing 1 required positional argument: 'size'"),
        ("def __post_init__(self): raise RuntimeError('not today')", "RuntimeError: not today"),
        ("def __post_init__(self): raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_class_that_cannot_be_made(prunekit, install, tiny_model, body, reason):
    install("prunekit-faulty", SEARCHER.format(body=body))
    outcome = prunekit("search", "--model", tiny_model(), "--searcher", "faulty")
    check_one_line(outcome, "plugin", reason)
    check_one_line(prunekit("list-plugins", "faulty"), "searcher", reason)
    status, out, err = prunekit("list-plugins")
    assert status == 0
    assert "genetic" in out
    assert err.startswith("not loaded: prunekit-faulty 1.0, searcher faulty: ")
