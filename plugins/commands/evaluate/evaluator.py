"""Evaluate variants of one model: data are read and tokenised once for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset, words
from prunekit.engine.rounding import arrangement, shapes
from prunekit.hf.checkpoint import Checkpoint, context_length
from prunekit.hf.tokens import batches_of
from prunekit.plugins.commands.evaluate.documents import check_documents
from prunekit.plugins.commands.evaluate.perplexities import measure_perplexities
from prunekit.plugins.commands.evaluate.protocols import protocols_of
from prunekit.plugins.commands.evaluate.readings import Evaluation
from prunekit.plugins.commands.evaluate.running import run_task
from prunekit.plugins.commands.evaluate.store import ReadingStore
from prunekit.plugins.commands.evaluate.tasks import LoadedTask, load_tasks
from prunekit.plugins.commands.evaluate.wanted import Wanted as Wanted
from prunekit.plugins.commands.evaluate.watching import Nobody, Watcher
from prunekit.plugins.commands.evaluate.windows import Windows, cut


def preflight(wanted: Wanted) -> None:
    """ConfigError naming the texts and tasks that cannot be had, before any time is spent."""
    missing: list[str] = []
    for name in wanted.perplexities:
        with _noting(missing):
            (protocol,) = protocols_of(replace(wanted, perplexities=(name,)))
            check_documents(protocol)
    with _noting(missing):
        load_tasks(wanted)
    if missing:
        raise ConfigError("; ".join(missing))


@contextlib.contextmanager
def _noting(missing: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        missing.append(str(error))


class Evaluator:
    """Perplexities and accuracies of one model with blocks bypassed.

    With `store`, a folder, every reading is kept there as soon as it is complete, and is not
    measured again when model, subset, protocol or items, and limit are the same.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        checkpoint: Checkpoint,
        wanted: Wanted,
        *,
        store: Path | None = None,
        tokens_per_forward: int = 8192,
        watcher: Watcher | None = None,
    ) -> None:
        """Raises ConfigError where a text or a task cannot be had, or a window does not fit."""
        self.adapter = adapter
        self.checkpoint = checkpoint
        self.wanted = wanted
        self.tokens_per_forward = tokens_per_forward
        self.watcher = watcher or Nobody()
        self.store = ReadingStore(store, adapter.facts.fingerprint) if store else None
        self.found: dict[Subset, Evaluation] = {}
        """what was evaluated so far, complete or not"""
        self.tokenizer = checkpoint.tokenizer()
        self.tasks = [
            (task, self._key(task.digest(wanted.limit, self.tokenizer), wanted.batch_size))
            for task in load_tasks(wanted)
        ]
        self.windows = self._windows()

    def evaluate(self, removed: Subset) -> Evaluation:
        """All that is wanted of the model without these blocks."""
        return self.evaluate_all([removed])[0]

    def evaluate_all(self, subsets: Sequence[Subset]) -> list[Evaluation]:
        """The same of several variants; perplexities run each common prefix of blocks once."""
        self.begin(subsets)
        for windows in self.windows:
            self._perplexities(windows, subsets)
        for task, digest in self.tasks:
            for subset in dict.fromkeys(subsets):
                self._task(task, digest, subset)
        return [self.found[subset] for subset in subsets]

    def begin(self, subsets: Sequence[Subset]) -> list[Evaluation]:
        """The evaluations of these variants, which fill as they are evaluated."""
        for subset in subsets:
            self.found.setdefault(subset, Evaluation(tuple(sorted(subset))))
        return [self.found[subset] for subset in subsets]

    def _windows(self) -> list[Windows]:
        context = context_length(self.checkpoint.config())
        found = []
        for protocol in protocols_of(self.wanted):
            self.watcher.stage(f"reading {protocol.name}")
            found.append(cut(protocol, self.tokenizer, context))
        return found

    def _key(self, digest: str, layout: object) -> str:
        """What tells a reading from others of the same model and subset."""
        return " ".join([digest, *arrangement(self.adapter.facts.fingerprint, layout).values()])

    def _perplexities(self, windows: Windows, subsets: Sequence[Subset]) -> None:
        name = windows.protocol.name
        batches = batches_of(windows.samples, self.tokens_per_forward)
        digest = self._key(windows.digest, shapes(batches))
        missing = []
        for subset in dict.fromkeys(subsets):
            kept = self.store and self.store.perplexity(subset, name, digest)
            if kept:
                self.found[subset].perplexities[name] = kept
            elif name not in self.found[subset].perplexities:
                missing.append(subset)
        if not missing:
            return
        self.watcher.stage(f"perplexity on {name}")
        readings = measure_perplexities(self.adapter, windows, missing, batches, self.watcher)
        for subset, reading in readings.items():
            self.found[subset].perplexities[name] = reading
            if self.store:
                self.store.keep(subset, digest, reading)

    def _task(self, task: LoadedTask, digest: str, subset: Subset) -> None:
        found = self.found[subset].tasks
        if task.name in found:
            return
        kept = self.store and self.store.task(subset, task.name, digest)
        if kept:
            found[task.name] = kept
            return
        self.watcher.stage(f"{task.name}, {_variant(subset)}")
        with self.adapter.bypassing(subset) as model:
            cached = not subset
            reading = run_task(task, model, self.tokenizer, cached, self.wanted, self.watcher)
        found[task.name] = reading
        if self.store:
            self.store.keep(subset, digest, reading)


def _variant(subset: Subset) -> str:
    return f"without {words(subset)}" if subset else "with all blocks"
