"""How far from the true optimum every searcher ends, on models small enough to try all subsets.

    python benchmarks/search_quality.py WORKDIR --page docs/search-quality.md

Beside the page, a .csv file of the same name has one row for every single run.

For each embedded model, both objectives and budgets of 2, 3 and 4 of 16 blocks: the best of all
subsets, and of every searcher the gap to it, its rank among all, the subsets it asked for and the
seconds these take alone. Searchers that use chance run with three seeds. Everything measured is
kept in WORKDIR, so a second run only prints.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from scipy.stats import spearmanr

from prunekit.core.driver import Driver
from prunekit.core.prefix import PrefixMeter
from prunekit.core.problem import DENSE, Problem, Subset, words
from prunekit.core.registry import Registry, load
from prunekit.core.signals import needs_of
from prunekit.core.tally import Tally
from prunekit.workflows.config import parse
from prunekit.workflows.opening import open_session
from prunekit.workflows.plan import resolve
from prunekit.workflows.quiet import quiet_libraries
from prunekit.workflows.session import Session, SingleSession
from prunekit.workflows.speed import measure_speed
from prunekit.workflows.versions import versions

MODELS = ("demo:llama3", "demo:llama31", "demo:qwen3")
OBJECTIVES = ("ppl", "margin")
BUDGETS = (2, 3, 4)
SEEDS = (0, 1, 2)
SEVEN = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")
RANDOM = ("genetic", "bayesian")
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "cbo, fisher": ("cbo", {"hessian": "fisher"}),
    "cbo, exact": ("cbo", {"hessian": "exact", "first_order": 1.0}),
    "fast-block-select, mi": ("fast-block-select", {"oracle": "mi"}),
}


@dataclass(frozen=True)
class Outcome:
    """What one searcher found in one cell, beside the optimum of that cell."""

    model: str
    objective: str
    budget: int
    searcher: str
    seed: int
    removed: Subset
    gap: float
    rank: int
    of: int
    asked: int
    block_runs: int
    seconds: float
    """of the search alone: its own, and those of its block forwards at the speed of this machine"""
    one_shot_gap: float


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


def write_table(outcomes: list[Outcome], path: Path) -> None:
    names = [field.name for field in fields(Outcome) if field.name != "one_shot_gap"]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*names, "found"])
        for outcome in outcomes:
            values = {**vars(outcome), "removed": words(outcome.removed)}
            values |= {"gap": f"{outcome.gap:.6f}", "seconds": f"{outcome.seconds:.2f}"}
            rows.writerow([*(values[name] for name in names), outcome.rank == 1])


def all_losses(session: Session, n_blocks: int) -> dict[Subset, float]:
    """Every subset of the budgets, and the single removals."""
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
    assert isinstance(session, SingleSession)
    assert isinstance(session.meter, PrefixMeter)
    batches = len(session.meter.batches)
    speed = measure_speed(session.meter, batches=batches, of=batches)
    for budget in BUDGETS:
        ranked = sorted(
            (s for s in losses if len(s) == budget), key=lambda s: (losses[s], sorted(s))
        )
        best = losses[ranked[0]]
        one_shot = frozenset(sorted(range(16), key=lambda i: losses[frozenset({i})])[:budget])
        for name, seed, begin in searches(registry, session, budget):
            started = time.perf_counter()
            driver = begin()
            tally = finish(driver, session)
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
                block_runs=tally.block_runs,
                seconds=own + speed.seconds(tally.block_runs, len(tally.seen)),
                one_shot_gap=losses[one_shot] - best,
            )


def searches(
    registry: Registry, session: Session, budget: int
) -> Iterator[tuple[str, int, Callable[[], Driver]]]:
    for name in SEVEN:
        for seed in SEEDS if name in RANDOM else SEEDS[:1]:
            problem = Problem(16, budget, seed=seed)
            yield name, seed, partial(start, registry, session, name, {}, problem)
    for name, (plugin, options) in VARIANTS.items():
        yield name, 0, partial(start, registry, session, plugin, options, Problem(16, budget))


def finish(driver: Driver, session: Session) -> Tally:
    """Run a search to its end, and count what it would cost with an empty journal."""
    tally = Tally(driver.problem.n_blocks)
    while driver.request is not None:
        tally.add(driver.request)
        driver.answer(session.losses(driver.request))
    return tally


def start(
    registry: Registry, session: Session, name: str, options: dict[str, object], problem: Problem
) -> Driver:
    searcher = registry.get("searcher", name).cls(**options)
    signals = {signal: session.signal(signal) for signal in needs_of(searcher)}
    return Driver(searcher, replace(problem, signals=signals))


def report(
    outcomes: list[Outcome], tables: dict[tuple[str, str], dict[Subset, float]]
) -> Iterator[str]:
    yield from heading()
    yield from by_searcher(outcomes)
    yield from by_cell(outcomes, tables)
    yield from claims(outcomes, tables)


def heading() -> Iterator[str]:
    import torch

    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    yield "# How good the searchers are\n"
    yield (
        "The demo models have 16 blocks, so every subset of 2, 3 and 4 of them was measured, and "
        "the best one is known. Here is how close each searcher comes to it, with its default "
        "options and with other ones where those are named. Losses are those of the embedded "
        "calibration data, draw 0.\n"
    )
    yield "Made by `python benchmarks/search_quality.py WORKDIR --page docs/search-quality.md` on"
    yield "the machine named here; [one row for every run](search-quality.csv):"
    yield f"{platform.machine()}, {torch.get_num_threads()} thread, with {made}.\n"


def by_searcher(outcomes: list[Outcome]) -> Iterator[str]:
    count = len(MODELS) * len(OBJECTIVES) * len(BUDGETS)
    yield f"## Every searcher over {count} cells\n"
    yield (
        "Searchers that use chance run with three seeds. Block forwards and seconds are those of "
        "the search alone, with an empty journal, at the speed measured here, signals apart.\n"
    )
    columns = "optimum found | median gap, nats | largest gap | worst rank | asked"
    yield f"| searcher | {columns} | block forwards | seconds, ppl | seconds, margin |"
    yield "|---" * 9 + "|"
    for name in dict.fromkeys(o.searcher for o in outcomes):
        mine = [o for o in outcomes if o.searcher == name]
        found = sum(o.rank == 1 for o in mine)
        gaps = [o.gap for o in mine]
        worst = max(mine, key=lambda o: (o.rank > 1, o.rank / o.of))
        asked = [o.asked for o in mine]
        yield (
            f"| {name} | {found} of {len(mine)} | {statistics.median(gaps):.4f} | {max(gaps):.4f} "
            f"| {worst.rank} of {worst.of} | {span(asked, 0)} "
            f"| {span([o.block_runs for o in mine], 0)} "
            f"| {span([o.seconds for o in mine if o.objective == 'ppl'], 1)} "
            f"| {span([o.seconds for o in mine if o.objective == 'margin'], 1)} |"
        )
    cells = {(o.model, o.objective, o.budget) for o in outcomes}
    solved = {
        (o.model, o.objective, o.budget) for o in outcomes if o.searcher in SEVEN and o.rank == 1
    }
    yield f"\nAt least one of the seven finds the optimum in {len(solved)} of {len(cells)} cells."
    seeded = [o for o in outcomes if o.searcher.split(",")[0] in ("genetic", "bayesian", "cbo")]
    worse = sum(o.gap > o.one_shot_gap + 1e-12 for o in seeded)
    yield f"Of {len(seeded)} runs that try one-shot's choice too, {worse} end worse than it."


def span(values: Sequence[float], digits: int) -> str:
    low, high = f"{min(values):,.{digits}f}", f"{max(values):,.{digits}f}"
    return low if low == high else f"{low} to {high}"


def by_cell(
    outcomes: list[Outcome], tables: dict[tuple[str, str], dict[Subset, float]]
) -> Iterator[str]:
    yield "\n## Every cell\n"
    yield "Gap to the optimum in nats, and rank among all subsets; of three seeds the median.\n"
    names = list(dict.fromkeys(o.searcher for o in outcomes))
    yield f"| model | objective | k | optimum | its loss (dense) | {' | '.join(names)} |"
    yield "|---" * (5 + len(names)) + "|"
    for model, objective, budget in itertools.product(MODELS, OBJECTIVES, BUDGETS):
        losses = tables[model, objective]
        best = min((s for s in losses if len(s) == budget), key=lambda s: (losses[s], sorted(s)))
        row = [model.removeprefix("demo:"), objective, str(budget), words(best)]
        row.append(f"{losses[best]:.4f} ({losses[DENSE]:.4f})")
        for name in names:
            runs = sorted(
                (o.gap, o.rank)
                for o in outcomes
                if (o.model, o.objective, o.budget, o.searcher) == (model, objective, budget, name)
            )
            gap, rank = runs[len(runs) // 2]
            row.append("optimum" if rank == 1 else f"{gap:.4f} ({rank})")
        yield f"| {' | '.join(row)} |"


def claims(
    outcomes: list[Outcome], tables: dict[tuple[str, str], dict[Subset, float]]
) -> Iterator[str]:
    yield "\n## The study's claims, on these models\n"
    seven = [o for o in outcomes if o.searcher in SEVEN and o.seed == 0]
    searchers = [
        jaccard(a.removed, b.removed)
        for a, b in itertools.combinations(seven, 2)
        if (a.model, a.objective, a.budget) == (b.model, b.objective, b.budget)
    ]
    objectives = [
        jaccard(a.removed, b.removed)
        for a, b in itertools.combinations(seven, 2)
        if (a.model, a.budget, a.searcher) == (b.model, b.budget, b.searcher)
    ]
    yield (
        f"Overlap (Jaccard) of the chosen subsets: {statistics.mean(searchers):.2f} on average "
        f"between two searchers under one objective, {statistics.mean(objectives):.2f} between the "
        "two objectives under one searcher. That the objective decides more than the searcher "
        f"{'agrees' if statistics.mean(objectives) < statistics.mean(searchers) else 'disagrees'} "
        "with the study.\n"
    )
    yield "| model | k | optimum for ppl | optimum for margin | overlap | Spearman, all subsets |"
    yield "|---|---|---|---|---|---|"
    for model, budget in itertools.product(MODELS, (1, *BUDGETS)):
        left, right = (tables[model, objective] for objective in OBJECTIVES)
        subsets = [s for s in left if len(s) == budget]
        best = [min(subsets, key=lambda s, t=t: (t[s], sorted(s))) for t in (left, right)]
        rho = spearmanr([left[s] for s in subsets], [right[s] for s in subsets]).statistic
        yield (
            f"| {model.removeprefix('demo:')} | {budget} | {words(best[0])} | {words(best[1])} "
            f"| {jaccard(*best):.2f} | {rho:.2f} |"
        )


def jaccard(a: Subset, b: Subset) -> float:
    return len(a & b) / len(a | b)


if __name__ == "__main__":
    main()
