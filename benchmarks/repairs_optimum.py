"""How often is the best subset under repair not the best bare one, and what does that cost?

    python benchmarks/repairs_optimum.py [--models demo:llama3,...] [--budgets 2,3] [--draws 4]

Every subset of each budget is measured on draws of embedded text, bare and under each repair. Where
the two optima differ, repairing the bare one costs what its repaired loss is above the lowest one.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from itertools import combinations

import torch
from repairs import AT_ONCE, losses

from prunekit.core.options import build
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.repairing import fitting_of
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.hf.tokens import batches_of

SAMPLES, LENGTH, TO_FIT = 16, 64, 4096


def main() -> None:
    quiet_libraries()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="demo:llama3,demo:llama31,demo:qwen3")
    parser.add_argument("--budgets", default="2,3")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--repairs", default="least-squares,magnitude")
    given = parser.parse_args()
    print("| model | repair | blocks | optima differ | cost of the bare one: mean, largest |")
    print("|---|---|---|---|---|")
    for model in given.models.split(","):
        for repair in given.repairs.split(","):
            for budget in map(int, given.budgets.split(",")):
                costs = list(costs_of(model, repair, budget, given.draws))
                differ = f"{sum(cost > 0 for cost in costs)} of {len(costs)}"
                print(
                    f"| {model} | {repair} | {budget} | {differ} | {statistics.mean(costs):.4f}, "
                    f"{max(costs):.4f} |",
                    flush=True,
                )


def costs_of(model: str, name: str, budget: int, draws: int) -> Iterator[float]:
    """Yield, for each draw, the repaired loss of the bare optimum above the lowest one."""
    registry, spec = load(), Spec(model)
    checkpoint = find(spec, registry)
    plain, text = load_adapter(spec), registry.get("objective", "ppl").cls
    repair = build(registry.get("repair", name).cls, {})
    subsets = list(map(frozenset, combinations(range(plain.facts.n_blocks), budget)))
    for draw in range(draws):
        objective = text(data="demo", samples=SAMPLES, length=LENGTH, seed=draw)
        samples = list(objective.calibration_set(checkpoint.tokenizer()))
        batches = batches_of(samples, AT_ONCE)
        repaired = fitting_of(repair, [objective], TO_FIT).applied(plain, checkpoint, AT_ONCE)
        bare, under = (losses(adapter, batches, subsets) for adapter in (plain, repaired))
        yield under[min(bare, key=bare.__getitem__)] - min(under.values())


if __name__ == "__main__":
    with torch.no_grad():
        main()
