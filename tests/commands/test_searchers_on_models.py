"""Every searcher on a real model: with signals, resumed, and under either objective."""

import math

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.registry import load

pytestmark = pytest.mark.usefixtures("repeated_seldom")

RUNS = {e.name: {} for e in load().entries if e.kind == "searcher" and e.source == "prunekit"}
RUNS["bayesian"] = {"bayesian": {"trials": 20}}
RUNS["genetic"] = {"genetic": {"generations": 2}}
VARIANTS = {
    **RUNS,
    "cbo by fisher": {"cbo": {"hessian": "fisher"}},
    "cbo by exact": {"cbo": {"hessian": "exact", "first_order": 1.0}},
    "fast-block-select by mi": {"fast-block-select": {"oracle": "mi"}},
}


def written(workdir):
    return [path.read_text() for path in sorted(workdir.glob("journals/*/*.jsonl"))]


@pytest.mark.parametrize("objective", ["ppl", "margin"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_searches_and_repeats_itself_without_measuring(quick, variant, objective):
    sizes = {"ppl": quick.pop("ppl"), "margin": {"data": "demo", "samples": 4}}
    given = {**quick, **VARIANTS[variant], "searcher": variant.split()[0], "objective": objective}
    given[objective] = sizes[objective]
    first, journals = prunekit.search(**given), written(quick["workdir"])
    assert len(first.removed) == 3
    assert prunekit.search(**given) == first
    assert written(quick["workdir"]) == journals


@pytest.mark.parametrize("name", ["gate_gradients", "gate_hessian", "block_similarity"])
def test_a_signal_that_is_not_finite_is_refused_and_not_kept(quick, monkeypatch, name):
    from prunekit.hf.prefix import PrefixMeter

    measure = PrefixMeter.signal

    def broken(meter, signal):
        first, *others = measure(meter, signal)
        return [first, *others[1:], [math.nan, *first[1:]]]

    monkeypatch.setattr(PrefixMeter, "signal", broken)
    by = {
        "gate_gradients": "cbo by fisher",
        "gate_hessian": "cbo by exact",
        "block_similarity": "fast-block-select by mi",
    }
    variant = by[name]
    with pytest.raises(ConfigError, match=f"signal '{name}' of this model is not finite; try --dt"):
        prunekit.search(**quick, searcher=variant.split()[0], **VARIANTS[variant])
    assert not list(quick["workdir"].glob(f"journals/*/{name}.json"))
