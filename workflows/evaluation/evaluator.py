"""Evaluate variants of one model: data are read once, and the model stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.core.batching import batches_of
from prunekit.core.checkpoint import Checkpoint
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Batch, ModelAdapter
from prunekit.core.measurement import Measurement
from prunekit.core.prefix import PrefixMeter
from prunekit.core.problem import Subset
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.workflows.evaluation.protocols import Protocol, protocol_of
from prunekit.workflows.evaluation.readings import Evaluation, PerplexityReading, TaskReading
from prunekit.workflows.evaluation.sequences import Sequences, sequences_of
from prunekit.workflows.evaluation.tasks import Tasks, without_cache

Tell = Callable[[float], None]
"""Hears how much is done, 1 for each protocol and for all tasks together."""


@dataclass(frozen=True)
class Wanted:
    """What is to be evaluated: perplexities by protocol or file, and tasks of lm-eval."""

    perplexities: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    """items of each task; None takes all"""
    include_path: Path | None = None
    """a folder with more tasks"""
    batch_size: int = 1
    """rows that lm-eval runs at once"""
    length: int | None = None
    stride: int | None = None
    sequences: int | None = None
    bos: bool | None = None
    """of every protocol, where they are to differ from its own"""

    def protocols(self) -> list[Protocol]:
        """The protocols in full; ConfigError where one does not exist."""
        changes = {n: getattr(self, n) for n in ("length", "stride", "sequences", "bos")}
        return [protocol_of(name, **changes) for name in dict.fromkeys(self.perplexities)]

    @property
    def parts(self) -> int:
        """Protocols, and one more where there are tasks."""
        return len(dict.fromkeys(self.perplexities)) + bool(self.tasks)


def preflight(wanted: Wanted) -> None:
    """ConfigError, before any time is spent, that names what does not exist or cannot be had."""
    if not wanted.parts:
        raise ConfigError("nothing to evaluate; name protocols with --ppl or tasks with --tasks")
    wanted.protocols()
    if wanted.tasks:
        _tasks(wanted).check()


class Evaluator:
    """Evaluates pruned variants of one loaded model."""

    def __init__(
        self,
        adapter: ModelAdapter,
        checkpoint: Checkpoint,
        wanted: Wanted,
        tokens_per_forward: int = 8192,
    ) -> None:
        """Raises ConfigError where data cannot be had."""
        self.adapter = adapter
        self.wanted = wanted
        self._tokenizer = checkpoint.tokenizer()
        text = checkpoint.config().get_text_config()
        self._context = getattr(text, "max_position_embeddings", None)
        self._tokens_per_forward = tokens_per_forward
        self._tasks = _tasks(wanted) if wanted.tasks else None

    def evaluate(self, removed: Subset, tell: Tell = lambda done: None) -> Evaluation:
        """Everything wanted, of the model without these blocks."""
        perplexities = {}
        for number, (name, sequences) in enumerate(self._sequences.items()):
            measured = self._measure(sequences, [removed], _after(number, tell))
            perplexities[name] = PerplexityReading(measured[removed], sequences.record)
        tasks = self._run_tasks(removed, _after(len(perplexities), tell))
        return Evaluation(removed, perplexities, tasks)

    def perplexities_of(
        self, subsets: Sequence[Subset], tell: Tell = lambda done: None
    ) -> dict[Subset, dict[str, PerplexityReading]]:
        """The perplexities of many variants together, which share their first blocks."""
        found: dict[Subset, dict[str, PerplexityReading]] = {s: {} for s in subsets}
        for number, (name, sequences) in enumerate(self._sequences.items()):
            measured = self._measure(sequences, list(found), _after(number, tell))
            for subset, measurement in measured.items():
                found[subset][name] = PerplexityReading(measurement, sequences.record)
        return found

    def tasks_of(self, removed: Subset) -> dict[str, TaskReading]:
        """The tasks of one variant."""
        return self._run_tasks(removed, lambda share: None)

    @cached_property
    def _sequences(self) -> dict[str, Sequences]:
        protocols = [p.within(self._context) for p in self.wanted.protocols()]
        return {p.name: sequences_of(p, self._tokenizer) for p in protocols}

    def _measure(
        self, sequences: Sequences, subsets: Sequence[Subset], tell: Tell
    ) -> dict[Subset, Measurement]:
        batches = batches_of(sequences.samples, self._tokens_per_forward)
        meter = PrefixMeter(self.adapter, Perplexity(), batches)
        parts: dict[Subset, list[Any]] = {subset: [] for subset in subsets}
        total = len(batches) * len(parts)
        for number, piece in enumerate(meter.measure([list(parts)] * len(batches)), start=1):
            parts[piece.subset].append(piece)
            tell(number / total)
        return {subset: _joined(pieces, batches) for subset, pieces in parts.items()}

    def _run_tasks(self, removed: Subset, tell: Tell) -> dict[str, TaskReading]:
        if self._tasks is None:
            return {}
        with self.adapter.bypassing(removed) as model, without_cache(model):
            return self._tasks.run(model, self._tokenizer, tell)


def _after(parts: int, tell: Tell) -> Tell:
    """Tells of one part when so many are done."""
    return lambda share: tell(parts + share)


def versions() -> dict[str, str]:
    """What made the numbers of tasks, besides the model."""
    return {"lm_eval": version("lm_eval")}


def _tasks(wanted: Wanted) -> Tasks:
    return Tasks(wanted.tasks, wanted.include_path, wanted.limit, wanted.batch_size)


def _joined(pieces: Sequence[Any], batches: Sequence[Batch]) -> Measurement:
    assert [piece.batch for piece in pieces] == list(range(len(batches)))
    sums = tuple(x for piece in pieces for x in piece.sums)
    return Measurement(sums, tuple(x for piece in pieces for x in piece.weights))


def flatten(names: Sequence[str] | str | None) -> Iterator[str]:
    """Names from a list or from words joined by commas.

    >>> list(flatten("piqa, boolq"))
    ['piqa', 'boolq']
    """
    listed = names.split(",") if isinstance(names, str) else names or ()
    yield from (str(name).strip() for name in listed)
