"""Evaluate variants of one model; data are read and tokenised only once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset, words
from prunekit.engine.progress import Progress
from prunekit.engine.rounding import arrangement, shapes
from prunekit.hf.checkpoint import Checkpoint, context_length
from prunekit.hf.tokens import batches_of
from prunekit.hf.vocabulary import check_tokens, checking_tokens
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.harness import run_task
from prunekit.plugins.commands.evaluate.perplexity import Windows, cut, measure_perplexities
from prunekit.plugins.commands.evaluate.scores import Evaluation
from prunekit.plugins.commands.evaluate.store import ScoreStore
from prunekit.plugins.commands.evaluate.tasks import LoadedTask, load_tasks
from prunekit.plugins.commands.evaluate.texts import protocols_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Evaluator:
    """Measure perplexities and accuracies of one model with blocks bypassed.

    With `store`, a folder, every score is kept there as soon as it is complete, and is not
    measured again if model, subset, protocol or items, and limit are the same.
    """

    def __init__(
        self,
        adapter: ModelAdapter,
        checkpoint: Checkpoint,
        config: EvalConfig,
        *,
        store: Path | None = None,
        tokens_per_forward: int = 8192,
        progress: Progress | None = None,
    ) -> None:
        """Raise ConfigError if a text or a task cannot be read, or a window does not fit."""
        self.adapter = adapter
        self.config = config
        self.tokens_per_forward = tokens_per_forward
        self.progress = progress or Progress()
        self.store = ScoreStore(store, adapter.facts.fingerprint) if store else None
        self.tokenizer = checkpoint.tokenizer()
        if config.apply_chat_template and not self.tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer of {checkpoint.source} has no chat template; leave "
                "apply_chat_template out"
            )
        self.tasks = [(task, self._key_of(task)) for task in load_tasks(config)]
        self.windows = self._windows(checkpoint.config())
        self._evaluations: dict[Subset, Evaluation] = {}

    def evaluate(self, removed: Subset) -> Evaluation:
        """Evaluate the model without these blocks."""
        return self.evaluate_all([removed])[0]

    def evaluate_all(self, subsets: Sequence[Subset]) -> list[Evaluation]:
        """Evaluate several variants; perplexities run each common prefix of blocks once."""
        distinct = list(dict.fromkeys(subsets))
        for windows in self.windows:
            self._perplexities(windows, distinct)
        for task, key in self.tasks:
            for subset in distinct:
                self._task(task, key, subset)
        return [self.evaluation(subset) for subset in subsets]

    def evaluation(self, removed: Subset) -> Evaluation:
        """Return the evaluation of a variant, to which scores are added as they are measured."""
        return self._evaluations.setdefault(removed, Evaluation(tuple(sorted(removed))))

    def _windows(self, config: PretrainedConfig) -> list[Windows]:
        found = []
        for protocol in protocols_of(self.config):
            self.progress.begin(f"reading {protocol.name}")
            windows = cut(protocol, self.tokenizer, context_length(config))
            check_tokens(windows.samples, self.tokenizer, config, protocol.name)
            found.append(windows)
        return found

    def _key_of(self, task: LoadedTask) -> str:
        chat = self.config.apply_chat_template
        digest = task.digest(self.config.limit, self.tokenizer, chat)
        return self._key(digest, self.config.batch_size)

    def _key(self, digest: str, layout: object) -> str:
        """Identify a score among those of the same model and subset."""
        return " ".join([digest, *arrangement(self.adapter.facts.fingerprint, layout).values()])

    def _perplexities(self, windows: Windows, subsets: Sequence[Subset]) -> None:
        name = windows.protocol.name
        batches = batches_of(windows.samples, self.tokens_per_forward)
        key = self._key(windows.digest, shapes(batches))
        missing = [subset for subset in subsets if not self._has_perplexity(subset, name, key)]
        if not missing:
            return
        self.progress.begin(f"perplexity on {name}")
        scores = measure_perplexities(self.adapter, windows, missing, batches, self.progress)
        for subset, score in scores.items():
            self.evaluation(subset).perplexities[name] = score
            if self.store:
                self.store.keep(subset, key, score)

    def _has_perplexity(self, subset: Subset, name: str, key: str) -> bool:
        found = self.evaluation(subset).perplexities
        if name not in found and self.store:
            stored = self.store.perplexity(subset, name, key)
            found.update({name: stored} if stored else {})
        return name in found

    def _task(self, task: LoadedTask, key: str, subset: Subset) -> None:
        found = self.evaluation(subset).tasks
        if task.name in found:
            return
        if self.store and (stored := self.store.task(subset, task.name, key)):
            found[task.name] = stored
            return
        variant = f"without {words(subset)}" if subset else "with all blocks"
        title = f"{task.name}, {variant}"
        self.progress.begin(title)
        with (
            self.adapter.bypassing(subset) as model,
            checking_tokens(model, self.tokenizer, task.name),
        ):
            score = run_task(
                task,
                model,
                self.tokenizer,
                not subset,
                self.config,
                lambda done, total: self.progress.count(title, done, total, "requests"),
            )
        found[task.name] = score
        if self.store:
            self.store.keep(subset, key, score)
