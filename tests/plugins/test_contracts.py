"""Every built-in plugin keeps its contract, by the checks that third parties use."""

import pytest

from prunekit.core.registry import load
from prunekit.testing import (
    check_adapter,
    check_backend,
    check_objective,
    check_repair,
    check_searcher,
)

BUILT_IN = [e for e in load().entries if e.source == "prunekit"]


def of_kind(kind):
    entries = sorted((e for e in BUILT_IN if e.kind == kind), key=lambda e: e.name)
    return pytest.mark.parametrize("cls", [pytest.param(e.cls, id=e.name) for e in entries])


@of_kind("searcher")
def test_searchers(cls):
    check_searcher(cls())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("beam", {"include_greedy": True}),
        ("cbo", {"hessian": "fisher"}),
        ("cbo", {"hessian": "exact", "first_order": 1.0}),
        ("cbo", {"clip_couplings": True, "rerank": 0}),
        ("fast-block-select", {"oracle": "mi"}),
        ("fast-block-select", {"guard": True, "sub_windows": True}),
        ("angular", {"runs": 3}),
        ("swaps", {"improvement": "best", "start": "angular", "trials": 5}),
        ("annealing", {"heat": 0.0, "start": "random"}),
        ("floating", {"beyond": 3}),
        ("evopress", {"initial": 0, "start": "one-shot", "stages": "9:0.1,3:0.4,1:1"}),
    ],
)
def test_searchers_with_other_options(name, options, registry):
    check_searcher(registry.get("searcher", name).cls(**options))


@of_kind("objective")
def test_objectives(cls):
    check_objective(cls(**getattr(cls, "demo_options", {})))


@of_kind("model")
def test_model_families(cls, tiny_model):
    check_adapter(cls, getattr(cls, "demo", None) or tiny_model())


@of_kind("repair")
def test_repairs(cls):
    check_repair(cls())


@of_kind("backend")
def test_backends(cls):
    check_backend(cls())
