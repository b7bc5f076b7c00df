"""Multiple-choice items: the calibration set of objectives on questions, and how answers score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from prunekit.core import IGNORE, Batch, ConfigError, Objective, Output, Sample, option
from prunekit.hf import Beginning, first_tokens, plain_tokens
from prunekit.plugins.objectives.item import Item
from prunekit.plugins.objectives.items import NAMES, disjoint_draws_of_items, load_items
from prunekit.plugins.objectives.rows import check_data

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

__all__ = ["MultipleChoice"]

STUDY_SAMPLES, DEMO_SAMPLES = 128, 64


@dataclass(frozen=True)
class MultipleChoice(Objective):
    """The options and the calibration set of an objective on questions.

    In `batch.extra` are `right` and `characters`, one entry a row: whether the row is the right
    answer, and how long the answer is.
    """

    name: ClassVar[str]
    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}
    data: str = option("commonsense_170k", "demo, commonsense_170k, or a .jsonl file of items")
    samples: int | None = option(None, "items; by default 128, of demo data 64", low=1)
    repr: Literal["content", "label"] = option(
        "content", "score the text of each choice, or its label after all were listed"
    )
    norm: Literal["token-mean", "sum", "char-mean"] = option(
        "token-mean", "how the log-likelihoods of an answer's tokens are joined"
    )
    blank: str = option(
        "auto",
        "text in a context that a choice replaces; auto: a single word of underscores, or none",
    )
    add_bos: Beginning = option(
        "auto",
        "what begins every item: what the tokenizer puts before a text, its bos token, nothing",
    )
    seed: int = option(0, "which draw of the data", low=0)

    def __post_init__(self) -> None:
        if not self.blank.strip():
            raise ConfigError(
                f"{self.name}.blank: expected auto, none, or the text that a choice replaces, got "
                f"{self.blank!r}",
                (self.name, "blank"),
            )

    def check_data(self) -> None:
        """ConfigError where `data` is neither a known name nor a file; nothing is read."""
        check_data(self.data, NAMES, self.name)

    def disjoint_draws(self) -> int | None:
        """How many draws share no item; None where that is not known."""
        return disjoint_draws_of_items(self.data, self._n_samples)

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """One sample an item, one row a choice; ConfigError where an item cannot be scored."""
        items = load_items(self.data, self.seed, self._n_samples, self.name, self.blank)
        first = first_tokens(tokenizer, self.add_bos, f"--{self.name}.add-bos")
        return [self._sample(item, tokenizer, first) for item in items]

    @property
    def _n_samples(self) -> int:
        return self.samples or (DEMO_SAMPLES if self.data == "demo" else STUDY_SAMPLES)

    def likelihoods(self, output: Output, batch: Batch) -> Tensor:
        """The log-likelihood of every answer, joined as `norm` says, `[rows]` in float64."""
        import torch

        logprobs = output.token_logprobs(batch.targets).to("cpu", torch.float64).sum(1)
        return logprobs / self._lengths(batch)

    def _lengths(self, batch: Batch) -> Tensor | int:
        """What each row's log-likelihood is divided by."""
        if self.norm == "sum":
            return 1
        return batch.extra["characters"] if self.norm == "char-mean" else _tokens(batch)

    def _sample(self, item: Item, tokenizer: PreTrainedTokenizerBase, first: list[int]) -> Sample:
        import torch

        pairs = item.by_content() if self.repr == "content" else item.by_label()
        rows = [_row(context, continuation, tokenizer, first) for context, continuation in pairs]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        targets = torch.full((len(rows), width), IGNORE)
        for row, (tokens, start) in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            targets[row, start - 1 : len(tokens) - 1] = torch.tensor(tokens[start:])
        return {
            "input_ids": ids,
            "targets": targets,
            "right": torch.arange(len(rows)) == item.answer,
            "characters": torch.tensor([len(text.strip()) for _, text in pairs]),
        }


def _tokens(batch: Batch) -> Tensor:
    return (batch.targets != IGNORE).sum(1)


def _row(
    context: str, continuation: str, tokenizer: PreTrainedTokenizerBase, first: list[int]
) -> tuple[list[int], int]:
    """The tokens of both together, and where the continuation begins.

    It begins where the tokens of the whole first differ from those of the context alone, so that
    a token which spans both belongs to the continuation.
    """
    alone, whole = (
        first + plain_tokens(tokenizer, text) for text in (context, context + continuation)
    )
    start = 0
    while start < min(len(alone), len(whole)) and alone[start] == whole[start]:
        start += 1
    start = max(start, 1)
    if start >= len(whole):
        raise ConfigError(
            f"the choice {continuation!r} has no token of its own; leave the item out"
        )
    return whole, start
