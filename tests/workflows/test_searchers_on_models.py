"""Every searcher on a real model: with signals, resumed, and under either objective."""

import pytest

import prunekit
from prunekit.core.registry import load

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
