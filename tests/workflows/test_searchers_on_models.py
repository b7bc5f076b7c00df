"""Every searcher on a real model: with signals, resumed, and under either objective."""

import dataclasses

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


@pytest.mark.parametrize("objective", ["ppl", "margin"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_searches_and_repeats_itself_without_measuring(quick, variant, objective):
    sizes = {"ppl": quick.pop("ppl"), "margin": {"data": "demo", "samples": 4}}
    given = {**quick, **VARIANTS[variant], "searcher": variant.split()[0], "objective": objective}
    given[objective] = sizes[objective]
    first = prunekit.search(**given)
    again = prunekit.search(**given)
    assert len(first.removed) == 3
    assert dataclasses.replace(again, work=None) == dataclasses.replace(first, work=None)
    assert again.work.measured == 0
