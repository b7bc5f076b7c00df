"""The numbers behind the tables: a record for each searcher in each condition, and each run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunekit.core.problem import words
from prunekit.plugins.commands.report.measures import Condition, Summary, mean_of, summarise
from prunekit.plugins.commands.report.reading import Run, Scores, Study


@dataclass(frozen=True)
class Record:
    """A searcher in a condition: means over its seeds and draws of what is known.

    The dense model is a record too, with budget 0.
    """

    condition: Condition
    searcher: str
    runs: int
    accuracies: Mapping[str, float]
    """in percent, by task"""
    accuracy: Summary | None
    perplexities: Mapping[str, float]
    perplexity: Summary | None
    loss: Summary | None
    """the calibration loss; infinite where it was not finite"""
    difference: Summary | None
    """how far the loss is above that of the dense model"""
    asked: Summary | None = None
    block_runs: Summary | None = None
    block_runs_unshared: Summary | None = None
    seconds: Summary | None = None
    signals: tuple[str, ...] = ()
    """what the search was told besides losses, whose cost is in none of the above"""


def searched(study: Study, condition: Condition) -> list[Record]:
    """Of every searcher that has finished in a condition."""
    runs = {s: study.where(searcher=s, **vars(condition)) for s in study.searchers}
    return [_record(condition, s, found) for s, found in runs.items() if found]


def dense(study: Study, model: str, objective: str) -> Record:
    """Of the whole model; its loss is the mean over calibration draws."""
    scores = study.dense.get(model, Scores())
    runs = study.where(model=model, objective=objective)
    by_draw = {run.cell.draw: _infinite(run.result.dense_loss) for run in runs}
    return Record(
        Condition(model, objective, 0),
        "dense",
        1,
        scores.accuracies,
        summarise([scores.accuracy], [0]),
        scores.perplexities,
        summarise([scores.perplexity], [0]),
        summarise(by_draw.values(), by_draw),
        summarise([0.0], [0]),
    )


def _record(condition: Condition, searcher: str, runs: Sequence[Run]) -> Record:
    def over_runs(of: Callable[[Run], float | None]) -> Summary | None:
        return summarise(map(of, runs), [run.cell.draw for run in runs])

    return Record(
        condition,
        searcher,
        len(runs),
        _means(run.scores.accuracies for run in runs),
        over_runs(lambda run: run.scores.accuracy),
        _means(run.scores.perplexities for run in runs),
        over_runs(lambda run: run.scores.perplexity),
        over_runs(lambda run: _infinite(run.result.loss)),
        over_runs(lambda run: run.difference),
        over_runs(lambda run: run.result.asked),
        over_runs(lambda run: run.result.block_runs),
        over_runs(lambda run: run.result.block_runs_unshared),
        over_runs(lambda run: run.result.seconds),
        tuple(sorted({name for run in runs for name in run.result.signals})),
    )


def _means(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for of_run in scores:
        for name, value in of_run.items():
            values.setdefault(name, []).append(value)
    return {name: mean_of(of) for name, of in values.items()}


def _infinite(loss: float | None) -> float:
    return math.inf if loss is None else loss


Row = dict[str, object]


def keys(record: Record) -> Row:
    """What tells a record from the others, as plain data."""
    return {**vars(record.condition), "searcher": record.searcher, "runs": record.runs}


def accuracy_row(record: Record, unit: str) -> Row:
    """Accuracies in percent and the calibration loss."""
    return {
        **keys(record),
        **{f"{task} (%)": x for task, x in record.accuracies.items()},
        **_summary("average (%)", record.accuracy),
        **_summary("calibration loss", record.loss),
        "unit": unit,
    }


def perplexity_row(record: Record, unit: str) -> Row:
    """Perplexities and the calibration loss."""
    return {
        **keys(record),
        **record.perplexities,
        **_summary("average", record.perplexity),
        **_summary("calibration loss", record.loss),
        "unit": unit,
    }


def cost_row(record: Record) -> Row:
    """What the search costs, and what it buys."""
    return {
        **keys(record),
        **_summary("asked", record.asked),
        **_summary("block forwards", record.block_runs),
        **_summary("block forwards unshared", record.block_runs_unshared),
        **_summary("seconds", record.seconds),
        "signals": " ".join(record.signals),
        **_summary("average accuracy (%)", record.accuracy),
        **_summary("average perplexity", record.perplexity),
    }


def _summary(name: str, found: Summary | None) -> Row:
    return {
        name: found.mean if found else None,
        f"{name}, deviation": found.deviation if found else None,
    }


def run_row(run: Run) -> Row:
    """All numbers of one run."""
    scores, result = run.scores, vars(run.result)
    numbers = {k: v for k, v in result.items() if k not in ("cell", "removed", "signals", "schema")}
    return {
        **vars(run.cell),
        "removed": words(run.removed),
        **numbers,
        "signals": " ".join(run.result.signals),
        **{f"{task} (%)": x for task, x in scores.accuracies.items()},
        "average accuracy (%)": scores.accuracy,
        "its standard error": scores.accuracy_error,
        **scores.perplexities,
        "average perplexity": scores.perplexity,
    }
