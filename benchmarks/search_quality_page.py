"""Write the results of search_quality.py as a page, and as a table of every run."""

from __future__ import annotations

import csv
import itertools
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from scipy.stats import spearmanr

from prunekit.core.problem import DENSE, Subset, words
from prunekit.engine.versions import versions
from prunekit.plugins.commands.report.overlap import jaccard

MODELS = ("demo:llama3", "demo:llama31", "demo:qwen3")
OBJECTIVES = ("ppl", "margin")
BUDGETS = (2, 3, 4)
TRY_ONE_SHOT = ("genetic", "bayesian", "cbo", "swaps", "annealing")
SEVEN = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")


@dataclass(frozen=True)
class Outcome:
    """The result of one searcher in one cell, beside the optimum of that cell."""

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


def write_table(outcomes: list[Outcome], path: Path) -> None:
    names = [field.name for field in fields(Outcome) if field.name != "one_shot_gap"]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*names, "found"])
        for outcome in outcomes:
            values = {**vars(outcome), "removed": words(outcome.removed)}
            values |= {"gap": f"{outcome.gap:.6f}", "seconds": f"{outcome.seconds:.2f}"}
            rows.writerow([*(values[name] for name in names), outcome.rank == 1])


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
    threads = torch.get_num_threads()
    yield "Made by `python benchmarks/search_quality.py WORKDIR --page docs/search-quality.md` on"
    yield f"{platform.machine()}, {threads} thread{'s'[: threads > 1]}, with {made}."
    yield "Every single run is a row of [search-quality.csv](search-quality.csv).\n"


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
    seeded = [o for o in outcomes if o.searcher.split(",")[0] in TRY_ONE_SHOT]
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
        best = best_of([s for s in losses if len(s) == budget], losses)
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
        best = [best_of(subsets, left), best_of(subsets, right)]
        rho = spearmanr([left[s] for s in subsets], [right[s] for s in subsets]).statistic
        yield (
            f"| {model.removeprefix('demo:')} | {budget} | {words(best[0])} | {words(best[1])} "
            f"| {jaccard(*best):.2f} | {rho:.2f} |"
        )


def best_of(subsets: list[Subset], losses: dict[Subset, float]) -> Subset:
    return min(subsets, key=lambda subset: (losses[subset], sorted(subset)))
