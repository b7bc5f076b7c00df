"""Compare every searcher with the true optimum, on models small enough to try all subsets.

    python benchmarks/search_quality.py WORKDIR --page docs/search-quality.md

Beside the page, a .csv file of the same name has one row for every single run.

For each embedded model, both objectives and budgets of 2, 3 and 4 of 16 blocks: the best of all
subsets, and of every searcher the gap to it, its rank among all, the subsets it asked for and the
seconds these take alone. Searchers that use chance run with three seeds. Everything measured is
kept in WORKDIR, so a second run only prints.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from search_quality_page import BUDGETS, MODELS, OBJECTIVES, SEVEN, Outcome, report, write_table

from prunekit.core.driver import Driver, needs_of
from prunekit.core.problem import DENSE, Problem, Subset, share_of
from prunekit.core.registry import Registry, load
from prunekit.engine.config import parse
from prunekit.engine.cost import CostCounter
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.session import Session

SEEDS = (0, 1, 2)
RANDOM = ("genetic", "bayesian", "annealing", "evopress", "random")
OTHERS = (
    *("floating", "swaps", "annealing", "evopress", "random"),
    *("block-influence", "angular", "relative-magnitude", "taylor"),
)
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "cbo, fisher": ("cbo", {"hessian": "fisher"}),
    "cbo, exact": ("cbo", {"hessian": "exact", "first_order": 1.0}),
    "fast-block-select, mi": ("fast-block-select", {"oracle": "mi"}),
    "angular, 3 runs": ("angular", {"runs": 3}),
    "swaps from angular": ("swaps", {"start": "angular"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    quiet_libraries()
    registry = load()
    outcomes: list[Outcome] = []
    tables: dict[tuple[str, str], dict[Subset, float]] = {}
    for model, objective in itertools.product(MODELS, OBJECTIVES):
        plan = resolve(parse({"model": model, "objective": objective}, registry), registry)
        with open_session(plan, arguments.workdir) as session:
            start = time.perf_counter()
            tables[model, objective] = all_losses(session, plan.problem.n_blocks)
            outcomes += cells(model, objective, session, tables[model, objective], registry)
            print(f"{model} {objective}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    page = "\n".join(report(outcomes, tables)) + "\n"
    if arguments.page:
        arguments.page.write_text(page, encoding="utf-8")
        write_table(outcomes, arguments.page.with_suffix(".csv"))
    print(page)


def all_losses(session: Session, n_blocks: int) -> dict[Subset, float]:
    """Measure every subset of the budgets, and the single removals."""
    sizes = (1, *BUDGETS)
    subsets = [frozenset(c) for k in sizes for c in itertools.combinations(range(n_blocks), k)]
    subsets.append(DENSE)
    return dict(zip(subsets, session.losses(subsets), strict=True))


def cells(
    model: str,
    objective: str,
    session: Session,
    losses: dict[Subset, float],
    registry: Registry,
) -> Iterator[Outcome]:
    speed = session.speed()
    for budget in BUDGETS:
        ranked = sorted(
            (s for s in losses if len(s) == budget), key=lambda s: (losses[s], sorted(s))
        )
        best = losses[ranked[0]]
        one_shot = frozenset(sorted(range(16), key=lambda i: losses[frozenset({i})])[:budget])
        for name, seed, begin in searches(registry, session, budget):
            started = time.perf_counter()
            driver = begin()
            counter = finish(driver, session)
            own = time.perf_counter() - started  # every loss is known: what is left is its own work
            assert driver.removed is not None
            yield Outcome(
                model=model,
                objective=objective,
                budget=budget,
                searcher=name,
                seed=seed,
                removed=driver.removed,
                gap=losses[driver.removed] - best,
                rank=ranked.index(driver.removed) + 1,
                of=len(ranked),
                asked=driver.asked,
                block_runs=counter.block_runs,
                seconds=own + speed.seconds(counter.block_runs, len(counter.seen)),
                one_shot_gap=losses[one_shot] - best,
            )


def searches(
    registry: Registry, session: Session, budget: int
) -> Iterator[tuple[str, int, Callable[[], Driver]]]:
    for name in (*SEVEN, *OTHERS):
        for seed in SEEDS if name in RANDOM else SEEDS[:1]:
            problem = Problem(16, budget, seed=seed)
            yield name, seed, partial(start, registry, session, name, {}, problem)
    for name, (plugin, options) in VARIANTS.items():
        yield name, 0, partial(start, registry, session, plugin, options, Problem(16, budget))


def finish(driver: Driver, session: Session) -> CostCounter:
    """Run a search to its end, and count what it would cost with an empty journal."""
    counter = CostCounter(driver.problem.n_blocks)
    while driver.request is not None:
        counter.add(driver.request)
        driver.answer(session.losses(driver.request, share_of(driver.request)))
    return counter


def start(
    registry: Registry, session: Session, name: str, options: dict[str, object], problem: Problem
) -> Driver:
    searcher = registry.get("searcher", name).cls(**options)
    signals = {s.name: session.signal(s) for s in needs_of(searcher)}
    return Driver(searcher, replace(problem, signals=signals))


if __name__ == "__main__":
    main()
