"""The calibration set of objectives on language modelling: windows of running text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from prunekit.core import IGNORE, ConfigError, Objective, Sample, option
from prunekit.hf import (
    Beginning,
    Document,
    documents_of_rows,
    first_tokens,
    hub_rows,
    is_plain_text,
    plain_tokens,
    rendered,
    stream_rows,
    text_column,
)
from prunekit.plugins.objectives.rows import (
    check_data,
    demo_rows,
    disjoint_draws,
    draw,
    instead_of_hub,
    shuffled,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


__all__ = ["TextWindows"]

STUDY_SIZE = (64, 2048)
DEMO_SIZE = (32, 128)
DEMO_TEXTS = "calibration-passages"
NAMES = "demo, c4, wikitext2"


@dataclass(frozen=True)
class TextWindows(Objective):
    """The options and the calibration set of an objective on text."""

    name: ClassVar[str]
    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}
    data: str = option("c4", "demo, c4, wikitext2, or a .txt, .jsonl, .csv or .parquet file")
    column: str = option("text", "column of a file that holds the text, or a chat")
    samples: int | None = option(None, "sequences; by default 64, of demo data 32", low=1)
    length: int | None = option(None, "tokens a sequence; by default 2048, of demo data 128", low=2)
    packing: Literal["auto", "documents", "stream"] = option(
        "auto", "a window from each long document, or windows of all documents joined"
    )
    add_bos: Beginning = option(
        "auto",
        "what begins every sequence: what the tokenizer puts before a text, its bos token, nothing",
    )
    seed: int = option(0, "which draw of the data", low=0)

    def check_data(self) -> None:
        """Raise ConfigError if `data` is neither a known name nor a file, without reading it."""
        check_data(self.data, NAMES, self.name)

    def disjoint_draws(self) -> int | None:
        """Count the draws that share no document; None if that is unknown."""
        return disjoint_draws_of_texts(self.data, self._size[0])

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """Return `samples` sequences of `length` tokens; ConfigError if the text is too short."""
        texts = open_texts(self.data, self.seed, self._size[0], self.name, self.column)
        documents = self.packing == "documents" or (self.packing == "auto" and texts.long)
        windows = self._cut_documents if documents else self._cut_stream
        first = first_tokens(tokenizer, self.add_bos, f"--{self.name}.add-bos")
        if len(first) >= self._size[1]:
            raise ConfigError(
                f"--{self.name}.length {self._size[1]}: expected more, as each sequence begins "
                f"with {len(first)} special tokens"
            )
        written = rendered(texts.documents, tokenizer, first, self.data)
        cut = windows(texts, written, tokenizer, self._size[1] - len(first))
        return [_sample(first, ids) for ids in cut]

    @property
    def _size(self) -> tuple[int, int]:
        samples, length = DEMO_SIZE if self.data == "demo" else STUDY_SIZE
        return self.samples or samples, self.length or length

    def _cut_documents(
        self,
        texts: Texts,
        documents: Iterable[str],
        tokenizer: PreTrainedTokenizerBase,
        width: int,
    ) -> Iterator[list[int]]:
        """Cut one random window from each document that is long enough."""
        samples, _ = self._size
        rng = random.Random(self.seed)
        found = seen = 0
        for document in documents:
            ids = plain_tokens(tokenizer, document)
            seen += len(ids)
            if len(ids) < width:
                continue
            start = rng.randint(0, len(ids) - width)
            yield ids[start : start + width]
            found += 1
            if found == samples:
                return
        lower = [f"--{self.name}.samples"] if found else []
        joined = not found or seen >= samples * width
        self._too_little(f"{found} documents that long, in {seen:,} tokens", lower, joined)

    def _cut_stream(
        self,
        texts: Texts,
        documents: Iterable[str],
        tokenizer: PreTrainedTokenizerBase,
        width: int,
    ) -> Iterator[list[int]]:
        """Cut consecutive windows from all documents joined.

        If documents have a fixed order, each draw continues where the previous one ended.
        """
        samples, _ = self._size
        passed_over = 0 if texts.shuffled else self.seed * samples * width
        wanted = passed_over + samples * width
        ids = _tokens_of_stream(documents, texts.joint, tokenizer, wanted)[passed_over:]
        if len(ids) < samples * width:
            if passed_over:
                left = f"{len(ids):,} tokens after {passed_over:,} of earlier draws"
                self._too_little(left, [f"--{self.name}.seed", f"--{self.name}.samples"])
            self._too_little(f"{len(ids):,} tokens", [f"--{self.name}.samples"])
        for start in range(0, samples * width, width):
            yield ids[start : start + width]

    def _too_little(self, found: str, lower: Sequence[str], joined: bool = False) -> NoReturn:
        samples, length = self._size
        before = ", ".join(lower) + " or " * bool(lower)
        join = f", or join documents with --{self.name}.packing stream" if joined else ""
        raise ConfigError(
            f"data {self.data!r} has {found}; {samples} sequences of {length:,} tokens "
            f"({samples * length:,} in all) were requested: lower {before}--{self.name}.length"
            f"{join}"
        )


def _tokens_of_stream(
    texts: Iterable[str], joint: str, tokenizer: PreTrainedTokenizerBase, count: int
) -> list[int]:
    """Return at least `count` tokens of the joined documents, or all of them."""
    documents, taken, characters = iter(texts), list[str](), 0
    wanted = 4 * count
    while True:
        for document in documents:
            taken.append(document)
            characters += len(document)
            if characters >= wanted:
                break
        ids = plain_tokens(tokenizer, joint.join(taken))
        if len(ids) >= count or characters < wanted:
            return ids
        wanted *= 2


def _sample(first: list[int], ids: list[int]) -> Sample:
    """Return the tokens after `first`, each to be predicted from those before it."""
    import torch

    row = torch.tensor([first + ids])
    targets = torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)
    targets[:, : max(0, len(first) - 1)] = IGNORE
    return {"input_ids": row, "targets": targets}


@dataclass(frozen=True)
class Texts:
    """A source of documents."""

    documents: Iterable[Document]
    """in order of use"""
    long: bool
    """each document is long enough to cut a sample from; else they are joined"""
    shuffled: bool = True
    """the order depends on the draw, else it is fixed"""
    joint: str = "\n\n"
    """the separator of joined documents"""


def disjoint_draws_of_texts(data: str, draw_size: int) -> int | None:
    """Count the draws of `data` that share no document; None if that is unknown."""
    return disjoint_draws(demo_rows(DEMO_TEXTS), draw_size) if data == "demo" else None


def open_texts(data: str, seed: int, draw_size: int, objective: str, column: str = "text") -> Texts:
    """Open the documents that `data` names, shuffled ones in the order of draw `seed`.

    `demo` holds several disjoint draws of `draw_size` documents. Raises ConfigError if `data` is
    neither `demo`, `c4` nor `wikitext2` nor a readable file with text in `column`.
    """
    path = Path(data).expanduser()
    if column != "text" and (data in NAMES.split(", ") or is_plain_text(path)):
        raise ConfigError(
            f"--{objective}.column {column}: data {data!r} has no columns to choose from; drop "
            f"--{objective}.column",
            (objective, "column"),
        )
    if data == "demo":
        rows = draw(demo_rows(DEMO_TEXTS), seed, draw_size)
        return Texts(text_column(rows, data), long=True)
    if data == "c4":
        stream = hub_rows("allenai/c4", "en", "train", instead_of_hub(objective), seed)
        return Texts(text_column(stream, data), long=True)
    if data == "wikitext2":
        instead = instead_of_hub(objective)
        lines = hub_rows("Salesforce/wikitext", "wikitext-2-raw-v1", "train", instead)
        return Texts(text_column(lines, data), long=False, shuffled=False)
    file = stream_rows(path, NAMES)
    if is_plain_text(path):
        return Texts(text_column(file, data), long=False, shuffled=False)
    cure = f"name another with --{objective}.column"
    return Texts(shuffled(documents_of_rows(file, data, column, cure), seed), long=True)
