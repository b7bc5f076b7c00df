"""All capabilities of both models, from their texts, their answers, and an evaluation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunekit.plugins.commands.certify import text_measures as measures
from prunekit.plugins.commands.certify.authors import Asked
from prunekit.plugins.commands.certify.capability import (
    Capability,
    Interval,
    interval_of,
    judged,
    of_perplexity,
    paired_difference,
)
from prunekit.plugins.commands.certify.exercises import KINDS, scores
from prunekit.plugins.commands.certify.generation import Written
from prunekit.plugins.commands.certify.thresholds import ALL, Threshold
from prunekit.plugins.commands.certify.works import Works
from prunekit.plugins.commands.evaluate.comparison import EvaluationResult, Row

PERPLEXITY, TASKS = "perplexity", "tasks"
TEXTS = {
    "greedy text": "no repetition of 4 tokens in a row, greedy",
    "sampled text": "no repetition of 4 tokens in a row, sampled",
    "variety": "different pairs of tokens in all texts after a prompt",
    "answering": "texts that do not end at once",
    "ending": "texts that end by themselves",
    "script": "letters of scripts that the dense model writes",
    "language": "runs of 3 letters that the dense model writes after other prompts",
    "balance": "texts with brackets and quotes in order",
}
AGREEMENT = "agreement"
SAYS = {**TEXTS, AGREEMENT: "the dense model's greedy tokens, predicted at their places"}
"""What the scores of the capabilities are that come from texts."""


def kinds_of(perplexities: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Return the names of all capabilities, and the key whose threshold each takes by default."""
    own = dict.fromkeys([*SAYS, *KINDS, PERPLEXITY, TASKS], ALL)
    texts = {f"{PERPLEXITY} {_short(name)}": PERPLEXITY for name in perplexities}
    return {**own, **texts, **{f"task {name}": TASKS for name in tasks}}


def capabilities_of(
    asked: Asked,
    works: Mapping[str, Works],
    evaluation: EvaluationResult | None,
    thresholds: Mapping[str, Threshold],
) -> tuple[Capability, ...]:
    """Judge each of them; `works` are those of `dense` and `pruned`."""
    dense, pruned = works["dense"], works["pruned"]
    found = list(_of_texts(dense, pruned, thresholds))
    found += _of_exercises(asked, dense, pruned, thresholds)
    if evaluation:
        found += _of_perplexities(evaluation, thresholds)
        found += _of_tasks(evaluation, thresholds)
    return tuple(found)


def _of_texts(
    dense: Works, pruned: Works, thresholds: Mapping[str, Threshold]
) -> Iterator[Capability]:
    reference = Reference.of(dense)
    of_dense, of_pruned = text_scores(dense, reference), text_scores(pruned, reference)
    of_dense[AGREEMENT] = [1.0] * len(dense.greedy)
    of_pruned[AGREEMENT] = list(pruned.agreement)
    for name, says in SAYS.items():
        if of_dense.get(name):
            difference = paired_difference(of_dense[name], of_pruned[name])
            n, level = len(of_dense[name]), statistics.fmean(of_dense[name])
            yield judged(name, says, "prompts", n, level, difference, thresholds[name])


@dataclass(frozen=True)
class Reference:
    """What the dense model writes: its scripts, and for each prompt the trigrams after others."""

    scripts: set[str]
    trigrams: Sequence[set[str]]

    @classmethod
    def of(cls, dense: Works) -> Reference:
        """Read it from the texts of the dense model."""
        texts = [" ".join(text.text for text in dense.after(i)) for i in range(len(dense.greedy))]
        found = [measures.trigrams(text) for text in texts]
        others = [set().union(*found[:i], *found[i + 1 :]) for i in range(len(found))]
        return cls(measures.scripts_of(texts), others)


def text_scores(works: Works, reference: Reference) -> dict[str, list[float]]:
    """Return the scores of all prompts, by capability; none without sampled texts."""
    prompts = range(len(works.greedy))
    known = reference.trigrams

    def mean(score: Callable[[int, Written], float]) -> list[float]:
        return [statistics.fmean(score(i, text) for text in works.after(i)) for i in prompts]

    return {
        "greedy text": [measures.unrepeated(text) for text in works.greedy],
        "sampled text": [
            statistics.fmean(map(measures.unrepeated, texts)) for texts in works.sampled if texts
        ],
        "variety": [measures.variety(works.after(i)) for i in prompts],
        "answering": mean(lambda _, text: measures.answered(text)),
        "ending": mean(lambda _, text: measures.ended(text)),
        "script": mean(lambda _, text: measures.in_scripts(text.text, reference.scripts)),
        "language": mean(lambda i, text: measures.in_language(text.text, known[i])),
        "balance": mean(lambda _, text: measures.balanced(text)),
    }


def _of_exercises(
    asked: Asked, dense: Works, pruned: Works, thresholds: Mapping[str, Threshold]
) -> Iterator[Capability]:
    for kind, pairs in asked.exercises.items():
        exercises = [exercise for exercise, _ in pairs]
        a, b = (
            scores(kind, exercises, [text.text for text in works.exercises[kind]])
            for works in (dense, pruned)
        )
        difference, level = paired_difference(a, b), statistics.fmean(a)
        says, n = KINDS[kind].says, len(exercises)
        yield judged(kind, says, "exercises", n, level, difference, thresholds[kind])


def _of_perplexities(
    evaluation: EvaluationResult, thresholds: Mapping[str, Threshold]
) -> Iterator[Capability]:
    for protocol, verdict in evaluation.verdicts.items():
        if verdict is not None:
            name = f"{PERPLEXITY} {_short(protocol)}"
            ratio = evaluation.perplexities[protocol].log_ratio
            n, difference = (ratio and ratio.samples) or 0, of_perplexity(verdict)
            says = "dense over pruned perplexity"
            yield judged(name, says, "windows", n, 1.0, difference, thresholds[name])


def _of_tasks(
    evaluation: EvaluationResult, thresholds: Mapping[str, Threshold]
) -> Iterator[Capability]:
    for task, row in evaluation.tasks.items():
        if row.dense is None or row.difference is None or not row.higher_is_better:
            continue
        name, n = f"task {task}", int(row.record["items"])
        threshold = thresholds.get(name, thresholds[TASKS])  # a group of lm-eval has other names
        chance = float(row.record.get("chance") or 0.0)
        difference = _of_items(row, n)
        yield judged(name, row.metric, "items", n, row.dense, difference, threshold, chance)


def _of_items(row: Row, n: int) -> Interval:
    """Return the interval from the items of both models, whose mean and error are known."""
    gap, error = row.difference or 0.0, row.standard_error
    if error is None:
        return Interval(gap, -1.0, 1.0)
    return interval_of(n * gap, (n - 1) * n * error**2 + n * gap**2, n)


def _short(protocol: str) -> str:
    return Path(protocol.rpartition("=")[2]).name if "=" in protocol else Path(protocol).name
