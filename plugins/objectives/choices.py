"""The calibration set of objectives on multiple-choice items, and how answers score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from prunekit.core import IGNORE, Batch, ConfigError, Objective, Output, Sample, internal, option
from prunekit.hf import (
    Beginning,
    first_tokens,
    guarded,
    hub_rows,
    is_missing,
    is_table,
    place_of,
    plain_tokens,
    remark_on_skipped,
    stream_rows,
)
from prunekit.plugins.objectives.columns import item_of_columns
from prunekit.plugins.objectives.commonsense import is_commonsense, item_of_instruction
from prunekit.plugins.objectives.headings import cells_of, parse_columns, renamed
from prunekit.plugins.objectives.item import Item
from prunekit.plugins.objectives.rows import (
    beginning_with_draw,
    check_data,
    demo_rows,
    disjoint_draws,
    instead_of_hub,
    shuffled,
    without_warnings,
)

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


__all__ = ["MultipleChoice"]

STUDY_SAMPLES, DEMO_SAMPLES = 128, 64
FIRST_LOOK = 32
COMMONSENSE = "zwhe99/commonsense_170k"
DEMO_ITEMS = "calibration-items"
NAMES = "demo, commonsense_170k"


@dataclass(frozen=True)
class MultipleChoice(Objective):
    """The options and the calibration set of an objective on questions.

    `batch.extra` has one entry per row in `right` (is this the right answer?) and in `characters`
    (the length of the answer).
    """

    name: ClassVar[str]
    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}
    data: str = option(
        "commonsense_170k", "demo, commonsense_170k, or a .jsonl or .csv file of items"
    )
    columns: str | None = option(
        None, "names that a file's columns have, as question=query,choices=options,answer=gold"
    )
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
    skip: int = internal(0)
    """if above 0, this is held out: that number of items of the draw are a calibration set"""

    def __post_init__(self) -> None:
        if not self.blank.strip():
            raise ConfigError(
                f"{self.name}.blank: expected auto, none, or the text that a choice replaces, got "
                f"{self.blank!r}",
                (self.name, "blank"),
            )
        parse_columns(self.columns, self.name)
        if self.columns and self.data in NAMES.split(", "):
            raise ConfigError(
                f"--{self.name}.columns: data {self.data!r} is no file; drop the option",
                (self.name, "columns"),
            )

    def check_data(self) -> None:
        """Raise ConfigError if `data` is neither a known name nor a file, without reading it."""
        check_data(self.data, NAMES, self.name)

    def disjoint_draws(self) -> int | None:
        """Count the draws that share no item; None if that is unknown."""
        return disjoint_draws_of_items(self.data, self.skip or self._n_samples)

    def typical_sizes(self) -> dict[str, float]:
        """That of the study, and a smaller one for a first look."""
        own = self._n_samples
        return {
            f"the paper's {STUDY_SAMPLES} items": STUDY_SAMPLES / own,
            f"{FIRST_LOOK} items": FIRST_LOOK / own,
        }

    def held_out(self, times: int = 4) -> MultipleChoice | None:
        """Return the same on the items that follow those of the draw; of the demo, on other draws.

        An item whose text before the choices is that of a calibration item is left out. What is
        held out has nothing to hold out itself.
        """
        if self.skip:
            return None
        own = self._n_samples
        held = replace(self, samples=max(times, 1) * own, skip=own)
        if self.data == "commonsense_170k":
            return held
        with without_warnings():
            return held if len(held._items_held_out()) >= own else None

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """One sample per item, one row per choice; ConfigError if an item cannot be scored."""
        items = self._items_held_out() if self.skip else self._items()
        first = first_tokens(tokenizer, self.add_bos, f"--{self.name}.add-bos")
        return [self._sample(item, tokenizer, first) for item in items]

    def _items(self) -> list[Item]:
        size = self._n_samples
        return load_items(self.data, self.seed, size, self.name, self.blank, self.columns)

    def _items_held_out(self) -> list[Item]:
        """Return up to `samples` items that follow those of the calibration set."""
        order = items_in_order(self.data, self.seed, self.skip, self.name, self.blank, self.columns)
        asked = {item.prompt for item in islice(order, self.skip)}
        return list(islice((item for item in order if item.prompt not in asked), self._n_samples))

    @property
    def _n_samples(self) -> int:
        return self.samples or (DEMO_SAMPLES if self.data == "demo" else STUDY_SAMPLES)

    def likelihoods(self, output: Output, batch: Batch) -> Tensor:
        """Return the log-likelihood of every answer, normalised by `norm`: `[rows]` in float64."""
        import torch

        logprobs = output.token_logprobs(batch.targets).to("cpu", torch.float64).sum(1)
        if self.norm == "sum":
            return logprobs
        tokens = (batch.targets != IGNORE).sum(1)
        return logprobs / (batch.extra["characters"] if self.norm == "char-mean" else tokens)

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


def _row(
    context: str, continuation: str, tokenizer: PreTrainedTokenizerBase, first: list[int]
) -> tuple[list[int], int]:
    """Return the tokens of both together, and the position where the continuation begins.

    It begins where the tokens of the whole first differ from those of the context alone, so a token
    that spans both belongs to the continuation.
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


def disjoint_draws_of_items(data: str, samples: int) -> int | None:
    """Count the draws of `data` that share no item; None if that is unknown."""
    return disjoint_draws(demo_rows(DEMO_ITEMS), samples) if data == "demo" else None


def load_items(
    data: str,
    seed: int,
    samples: int,
    objective: str,
    blank: str = "auto",
    columns: str | None = None,
) -> list[Item]:
    """Return draw `seed` of `samples` items for an objective.

    `blank` is the text that a choice replaces in the sentences of a file, see `blank_in`, `columns`
    the names that a file gives its columns. Raises ConfigError if there are too few items or one is
    invalid.
    """
    found = list(islice(items_in_order(data, seed, samples, objective, blank, columns), samples))
    if len(found) < samples:
        raise ConfigError(
            f"data {data!r} has {len(found)} usable items, but {samples} were requested: lower "
            f"--{objective}.samples"
        )
    return found


def items_in_order(
    data: str, seed: int, samples: int, objective: str, blank: str, columns: str | None
) -> Iterator[Item]:
    """Yield all items, those of draw `seed` first; the arguments are those of `load_items`."""
    if data == "demo":
        rows = beginning_with_draw(demo_rows(DEMO_ITEMS), seed, samples)
    else:
        rows = shuffled(guarded(_rows(data, objective, columns), data), seed)
    return _parsed(rows, blank, data)


def _rows(data: str, objective: str, columns: str | None) -> Iterable[Mapping[str, Any]]:
    if data == "commonsense_170k":
        rows: Iterable[dict[str, Any]] = hub_rows(
            COMMONSENSE, None, "train", instead_of_hub(objective)
        )
        return rows
    path = Path(data).expanduser()
    listed = list(stream_rows(path, NAMES))
    held = [row for row in listed if not all(map(is_missing, row.values()))]
    remark_on_skipped(len(listed) - len(held), len(listed), data)
    names = parse_columns(columns, objective)
    found = (renamed(row, names, place_of(row, None, data)) for row in held)
    return [cells_of(row, place_of(row, None, data)) for row in found] if is_table(path) else found


def _parsed(rows: Iterable[Mapping[str, Any]], blank: str, data: str) -> Iterator[Item]:
    for row in rows:
        where = place_of(row, None, data)
        instructed = is_commonsense(row)
        item = item_of_instruction(row, where) if instructed else item_of_columns(row, blank, where)
        if item is not None:
            yield item
