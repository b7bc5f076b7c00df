"""Measure drafts of one model on texts that it writes itself; all of it is kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset, words
from prunekit.engine.progress import Progress
from prunekit.engine.stored import subset_name
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import Checkpoint, context_length
from prunekit.hf.runnable import runnable
from prunekit.hf.vocabulary import vocabulary_size
from prunekit.plugins.commands.draft.keeping import kept
from prunekit.plugins.commands.draft.options import Drafting
from prunekit.plugins.commands.draft.result import Ahead, Candidate
from prunekit.plugins.commands.draft.rounds import Rounds, expected_tokens, replay, speedup
from prunekit.plugins.commands.draft.texts import Assisted, Text, assist, right_at, write
from prunekit.plugins.commands.evaluate.continuations import greedily
from prunekit.plugins.commands.evaluate.prompts import Prompts, Tokens, tokens_of
from prunekit.plugins.commands.latency.benchmark import Spread, Workload, time_in_turns

if TYPE_CHECKING:
    from transformers import PretrainedConfig

STEP_PROMPT, STEPS = 32, 16
"""Tokens of the prompt, and decoded after it, to time one step."""


@dataclass(frozen=True)
class Steps:
    """Seconds of the same number of steps, by repeat, of both models by turns."""

    dense: tuple[float, ...]
    draft: tuple[float, ...]


@dataclass(frozen=True)
class Right:
    """The places of a text at which a draft is right."""

    at: tuple[bool, ...]


class Bench:
    """The prompts as the model reads them, and where measurements are kept."""

    def __init__(
        self,
        adapter: ModelAdapter,
        checkpoint: Checkpoint,
        drafting: Drafting,
        drafts: Path,
        progress: Progress,
    ) -> None:
        """Raise ConfigError for prompts that do not fit the model; `drafts` is a folder."""
        self.drafting = drafting
        self.progress = progress
        self.tokenizer = checkpoint.tokenizer()
        self.config: PretrainedConfig = checkpoint.config()
        self.prompts = prompts_of(drafting, self.tokenizer, self.config)
        self.folder = drafts / self._digest(adapter)

    def _digest(self, adapter: ModelAdapter) -> str:
        """Return a name for what changes texts and times."""
        import torch

        ids = [tokens.ids.tolist() for tokens in self.prompts]
        rests_on = {
            **adapter.facts.fingerprint,
            **versions(),
            "threads": torch.get_num_threads(),
            "prompts": ids,
            "new_tokens": self.drafting.new_tokens,
            "repeats": self.drafting.repeats,
        }
        text = repr(sorted(rests_on.items()))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def candidate(
        self,
        models: tuple[Any, Any],
        removed: Subset,
        lookaheads: Sequence[int],
        on_text: float | None,
    ) -> Candidate:
        """Measure where a draft is right and what its steps cost; `models` are dense and draft."""
        texts = self._texts(models[0])
        right = self._right(models[1], removed, texts)
        cost = self._cost(models, removed)
        places = [good for one in right for good in one.at]
        agreement = sum(places) / len(places)
        ahead = []
        for lookahead in lookaheads:
            rounds = [replay(one.at, lookahead, self.drafting.new_tokens) for one in right]
            tokens = sum(rounds, Rounds()).per_forward
            formula = expected_tokens(agreement, lookahead)
            ahead.append(Ahead(lookahead, formula, tokens, speedup(tokens, lookahead, cost.median)))
        blocks = tuple(sorted(removed))
        return Candidate(len(blocks), blocks, on_text, agreement, cost, tuple(ahead))

    def assisted(
        self, models: tuple[Any, Any], removed: Subset, lookahead: int, which: str
    ) -> list[Assisted]:
        """Let the dense model write all texts with the draft; `which` names its weights.

        Raises CheckpointError if one is another text for more than a tie.
        """
        settings = greedily(models[0], self.tokenizer, self.drafting.new_tokens)

        def make(number: int) -> Assisted:
            with runnable("assisted generation does not run with this model"):
                found = assist(*models, settings, self.prompts[number].ids, lookahead)
            if not found.is_tie:
                raise CheckpointError(
                    f"without blocks {words(removed)}: assisted generation does not write the dense"
                    f" model's text after prompt {number + 1} of {self.drafting.prompts}, and no "
                    f"tie explains it (token {found.same + 1}); nothing was written. Try another "
                    "release of transformers"
                )
            return found

        path = self._place(removed) / f"assisted-{lookahead}-{which}.json"
        self._begin("writing with the draft")
        return kept(path, Assisted, len(self.prompts), make, _check_assisted, self.progress)

    def _texts(self, dense: Any) -> list[Text]:
        settings = greedily(dense, self.tokenizer, self.drafting.new_tokens)
        most = vocabulary_size(self.config)

        def check(number: int, text: Text) -> None:
            long = len(text.tokens) > self.drafting.new_tokens
            if long or not text.tokens or not all(0 <= t < (most or t + 1) for t in text.tokens):
                raise ValueError(f"rows.{number}.tokens cannot be those of a text")

        self._begin("writing with the dense model")
        return kept(
            self.folder / "dense" / "texts.json",
            Text,
            len(self.prompts),
            lambda number: write(dense, settings, self.prompts[number].ids),
            check,
            self.progress,
        )

    def _right(self, draft: Any, removed: Subset, texts: Sequence[Text]) -> list[Right]:
        def check(number: int, right: Right) -> None:
            if len(right.at) != len(texts[number].tokens):
                raise ValueError(f"rows.{number}.at: expected {len(texts[number].tokens)} places")

        self._begin(f"reading them without {len(removed)} blocks")
        return kept(
            self._place(removed) / "right.json",
            Right,
            len(texts),
            lambda number: Right(right_at(draft, self.prompts[number].ids, texts[number])),
            check,
            self.progress,
        )

    def _cost(self, models: tuple[Any, Any], removed: Subset) -> Spread:
        repeats = self.drafting.repeats
        context = context_length(self.config) or STEP_PROMPT + STEPS + 1
        prompt = max(1, min(STEP_PROMPT, context - STEPS - 1))
        work = Workload(prompt, min(STEPS, context - prompt - 1), 1, repeats)

        def make(number: int) -> Steps:
            timed = time_in_turns(models, work, self.progress)
            return Steps(*(of.decode_seconds for of in timed))

        def check(number: int, steps: Steps) -> None:
            times = *steps.dense, *steps.draft
            if len(times) != 2 * repeats or min(times) <= 0:
                raise ValueError(f"expected {repeats} times above 0 of each model")

        path = self._place(removed) / "steps.json"
        (steps,) = kept(path, Steps, 1, make, check, Progress())
        return Spread.of_ratios(steps.draft, steps.dense)

    def _begin(self, what: str) -> None:
        self.progress.begin(what, "prompts", lambda: len(self.prompts))

    def _place(self, removed: Subset) -> Path:
        return self.folder / subset_name(removed)


def prompts_of(drafting: Drafting, tokenizer: Any, config: PretrainedConfig) -> list[Tokens]:
    """Return the prompts as a model reads them. Raises ConfigError as `tokens_of` does."""
    prompts = Prompts(drafting.prompts, drafting.new_tokens, drafting.plain_prompts)
    return tokens_of(prompts, tokenizer, config)


def _check_assisted(number: int, row: Assisted) -> None:
    positive = min(row.tokens, row.forwards, row.seconds, row.seconds_alone) > 0
    if not positive or row.forwards > row.tokens or not 0 <= row.same <= row.tokens:
        raise ValueError(f"rows.{number} cannot be those of a text")
