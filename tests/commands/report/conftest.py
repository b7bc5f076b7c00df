"""A made-up study that looks like a real one: no model is loaded, nothing is measured.

As in a real one, searchers that use no chance run with the first seed only.
"""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from prunekit.engine.best_so_far import Improvement
from prunekit.engine.held_out import Finalist, HeldOut
from prunekit.engine.reading import Difference
from prunekit.engine.stability import Stability
from prunekit.engine.stored import subset_name
from prunekit.engine.study_folder import (
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
    VariantEvaluation,
)
from prunekit.plugins.commands.study.draw_losses import DrawLosses

CHANCE = ("genetic", "bayesian")
SEARCHERS = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")
UNITS = {"ppl": "nats per token", "margin": "nats per item"}
TASKS = ("hellaswag", "arc_easy", "piqa")
PROTOCOLS = ("wikitext2", "c4")


def costs(model, objective, draw, n_blocks):
    """Cost of each block: mostly due to the objective, a little to the draw."""
    lasting = random.Random(f"{model} {objective}")
    chance = random.Random(f"{model} {objective} {draw}")
    shape = [0.4 + 2.5 / (1 + i) if objective == "ppl" else 0.6 for i in range(n_blocks)]
    return [0.1 * s * lasting.uniform(0.2, 2.0) * chance.uniform(0.85, 1.15) for s in shape]


def choose(values, budget, searcher, seed):
    """Return the cheapest blocks under this searcher's own noise."""
    rng = random.Random(f"{searcher} {seed if searcher in CHANCE else 0}")
    seen = {i: value * rng.uniform(0.4, 1.6) for i, value in enumerate(values)}
    return tuple(sorted(sorted(seen, key=lambda i: (seen[i], i))[:budget]))


def evaluate(model, removed, n_blocks):
    """Accuracy falls with the costs under margin, perplexity rises with those under ppl."""
    damage = {o: sum(costs(model, o, "truth", n_blocks)[i] for i in removed) for o in UNITS}
    accuracies = {t: 0.75 - 0.05 * n - 0.5 * damage["margin"] for n, t in enumerate(TASKS)}
    perplexities = {p: (20 + 10 * n) * 2.718 ** damage["ppl"] for n, p in enumerate(PROTOCOLS)}
    errors = dict.fromkeys(TASKS, 0.01)
    return VariantEvaluation(model, removed, perplexities, accuracies, errors)


def finalists(removed, difference, seed):
    """The choice of a search in a model of 16 blocks, which costs more elsewhere, and a better."""
    rng = random.Random(f"{removed} {seed}")
    held_out, behind = 3.2 + difference * (1.2 + rng.random() / 4), 0.1 * difference
    other = (*removed[:-1], removed[-1] + 1 if removed[-1] < 15 else removed[-1])
    own = Finalist(removed, "own", 3.0 + difference, held_out, Difference(0.0, 0.0), False)
    found = (own,)
    if other != removed:
        better = replace(own, removed=other, loss=3.01 + difference, held_out=held_out - behind)
        found = (better, replace(own, behind=Difference(behind, 0.01), apart=True))
    return HeldOut(64, 3.2, found, Difference(held_out - 3.2 - difference, 0.03))


def result(cell, n_blocks):
    values = costs(cell.model, cell.objective, cell.draw, n_blocks)
    removed = choose(values, cell.budget, cell.searcher, cell.seed)
    difference = sum(values[i] for i in removed)
    asked = n_blocks * (1 + 7 * SEARCHERS.index(cell.searcher) % 11)
    return CellResult(
        cell=cell,
        removed=removed,
        n_blocks=n_blocks,
        unit=UNITS[cell.objective],
        loss=3.0 + difference,
        dense_loss=3.0,
        difference=difference,
        standard_error=0.01,
        asked=asked,
        block_runs=asked * n_blocks // 2,
        block_runs_unshared=asked * (n_blocks - cell.budget),
        seconds=asked * n_blocks * 0.002,
        parameters=1000 * n_blocks,
        parameters_removed=1000 * cell.budget,
        improvements=improvements(
            asked * n_blocks // 2, difference, SEARCHERS.index(cell.searcher)
        ),
    )


def improvements(block_runs, difference, steps):
    """A way to the choice of a search, in a few steps."""
    ends = [(block_runs * (i + 1) // (steps + 1), (steps - i) / 4) for i in range(steps + 1)]
    return tuple(Improvement(x, difference + more) for x, more in ends)


def on_draws(results, n_blocks):
    """What the choices of these results cost on each of their draws."""
    found = {}
    for draw, result in itertools.product(sorted({r.cell.draw for r in results}), results):
        cell = result.cell
        values = costs(cell.model, cell.objective, draw, n_blocks)
        there = found.setdefault((cell.model, cell.objective, draw), {})
        there[subset_name(result.removed)] = sum(values[i] for i in result.removed)
    return [DrawLosses(*where, there) for where, there in found.items()]


def with_finalists(found):
    return replace(
        found,
        finalists=5,
        held_out=finalists(found.removed, found.difference, found.cell.draw),
        stability=Stability(0.4 + 0.5 * random.Random(found.cell.id).random(), 10, None),
    )


@pytest.fixture(scope="session")
def make_study():
    """Write a study's folder: `make_study(path, budgets=[3], run=lambda cell: True)`.

    `run` selects the cells that have run, `fail` those of them that failed, `evaluated` the models
    and subsets that were evaluated.
    """

    def make(
        path: Path,
        models=("demo:llama3", "demo:qwen3"),
        objectives=("ppl", "margin"),
        searchers=SEARCHERS,
        budgets=(3, 4),
        seeds=(0, 1),
        draws=(0, 1),
        n_blocks=16,
        run=lambda cell: True,
        fail=lambda cell: False,
        evaluated=lambda model, removed: True,
        importances=True,
        held_out=False,
    ) -> StudyFolder:
        folder = StudyFolder(path)
        grid = itertools.product(models, objectives, searchers, budgets, seeds, draws)
        cells = [c for c in (Cell(*v) for v in grid) if c.seed == seeds[0] or c.searcher in CHANCE]
        folder.write_cells(cells)
        variants, results = {(model, ()) for model in models}, []
        for cell in filter(run, cells):
            if fail(cell):
                folder.write_cell(CellFailure(cell, f"{cell.searcher} ran out of luck"))
                continue
            found = result(cell, n_blocks)
            folder.write_cell(with_finalists(found) if held_out else found)
            results.append(found)
            variants |= {(cell.model, tuple(sorted(s))) for s in folder.cell(cell).choices}
        for losses in on_draws(results, n_blocks):
            losses.write(path)
        for model, removed in sorted(variants):
            if evaluated(model, removed):
                folder.write_evaluation(evaluate(model, removed, n_blocks))
        for model, objective, draw in itertools.product(models, objectives, draws):
            values = costs(model, objective, draw, n_blocks)
            if importances:
                singles = tuple(3.0 + value for value in values)
                folder.write_importance(
                    Importance(model, objective, draw, UNITS[objective], 3.0, singles)
                )
        return folder

    return make


@pytest.fixture(scope="session")
def whole_study(make_study, tmp_path_factory):
    """A finished study of two models, with finalists; read-only."""
    return make_study(tmp_path_factory.mktemp("study"), held_out=True).path


@pytest.fixture
def by_hand(tmp_path):
    """Write a study run by run: `by_hand([(cell, removed, difference), ...], evaluations)`.

    Everything else is the same for all: dense loss 3, a search of 8 subsets in 2 s.
    """

    def write(runs, evaluations=(), planned=None, n_blocks=8) -> StudyFolder:
        folder = StudyFolder(tmp_path / "by-hand")
        folder.write_cells(planned or [cell for cell, _, _ in runs])
        for cell, removed, difference in runs:
            folder.write_cell(
                CellResult(
                    cell=cell,
                    removed=tuple(removed),
                    n_blocks=n_blocks,
                    unit=UNITS[cell.objective],
                    loss=None if difference is None else 3.0 + difference,
                    dense_loss=3.0,
                    difference=difference,
                    standard_error=0.01,
                    asked=8,
                    block_runs=36,
                    block_runs_unshared=56,
                    seconds=2.0,
                    parameters=8000,
                    parameters_removed=1000 * cell.budget,
                )
            )
        for evaluation in evaluations:
            folder.write_evaluation(evaluation)
        return folder

    return write
