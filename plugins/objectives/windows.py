"""The calibration set of objectives on language modelling: windows of running text."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from prunekit.core import IGNORE, ConfigError, Objective, Sample, internal, option
from prunekit.hf import Beginning, first_tokens, plain_tokens, rendered
from prunekit.plugins.objectives.rows import check_data, without_warnings
from prunekit.plugins.objectives.texts import (
    HUB,
    NAMES,
    Texts,
    disjoint_draws_of_texts,
    open_texts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


__all__ = ["TextWindows"]

STUDY_SIZE = (64, 2048)
DEMO_SIZE = (32, 128)
TYPICAL_SIZES = ((32, 512), (32, 256))


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
    skip: int = internal(0)
    """if above 0, this is held out: that number of samples of the draw are a calibration set"""

    def check_data(self) -> None:
        """Raise ConfigError if `data` is neither a known name nor a file, without reading it."""
        check_data(self.data, NAMES, self.name)

    def disjoint_draws(self) -> int | None:
        """Count the draws that share no document; None if that is unknown."""
        return disjoint_draws_of_texts(self.data, self._draw_size)

    def held_out(self, times: int = 4) -> TextWindows | None:
        """Return the same on other documents, or on other windows of a file that is one text.

        They follow the calibration set in the order of its draw; of the demo these are its other
        draws, and of a single text the earlier ones too. No text that occurs twice is on both
        sides. What is held out has nothing to hold out itself.
        """
        if self.skip:
            return None
        held = replace(self, samples=max(times, 1) * self._size[0], skip=self._size[0])
        return held if held._may_suffice() else None

    def typical_sizes(self) -> dict[str, float]:
        """That of the study, and smaller ones for a first look; sizes are in tokens."""
        samples, length = self._size
        sizes = {f"{s} x {t:,} tokens": s * t / (samples * length) for s, t in TYPICAL_SIZES}
        study = STUDY_SIZE[0] * STUDY_SIZE[1] / (samples * length)
        return {f"the paper's {STUDY_SIZE[0]} x {STUDY_SIZE[1]:,} tokens": study, **sizes}

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """Return `samples` sequences of `length` tokens; ConfigError if the text is too short."""
        texts = self._open_texts()
        windows = self._cut_documents if self._is_cut_by_documents(texts) else self._cut_stream
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

    @property
    def _draw_size(self) -> int:
        """Samples of the calibration set, also of that from which this is held out."""
        return self.skip or self._size[0]

    def _open_texts(self) -> Texts:
        held_out = self.skip > 0
        size = self._draw_size
        return open_texts(self.data, self.seed, size, self.name, self.column, held_out)

    def _is_cut_by_documents(self, texts: Texts) -> bool:
        return self.packing == "documents" or (self.packing == "auto" and texts.long)

    def _may_suffice(self) -> bool:
        """Return whether the data may hold another calibration set, as far as bytes can show.

        No token is shorter than a byte. The length of a chat is that of its template.
        """
        if self.data in HUB:
            return True
        with without_warnings():
            texts = self._open_texts()
            documents = list(texts.documents)
        if self._is_cut_by_documents(texts):
            return len(documents) >= 2 * self._draw_size
        written = [text.encode() for text in documents if isinstance(text, str)]
        size = sum(map(len, written)) + len(texts.joint) * len(written)
        return len(written) < len(documents) or size >= 2 * self._draw_size * (self._size[1] - 1)

    def _cut_documents(
        self,
        texts: Texts,
        documents: Iterable[str],
        tokenizer: PreTrainedTokenizerBase,
        width: int,
    ) -> Iterator[list[int]]:
        """Cut one random window from each document that is long enough."""
        samples, _ = self._size
        rng, calibration = random.Random(self.seed), set[str]()
        found = seen = 0
        for document in documents:
            if found >= self.skip and document in calibration:
                continue
            ids = plain_tokens(tokenizer, document)
            seen += len(ids)
            if len(ids) < width:
                continue
            start = rng.randint(0, len(ids) - width)
            if found < self.skip:
                calibration.add(document)
            else:
                yield ids[start : start + width]
            found += 1
            if found == self.skip + samples:
                return
        if self.skip:
            self._check_held_out(found - self.skip)
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
        if self.skip:
            yield from self._cut_rest_of_stream(texts, documents, tokenizer, width)
            return
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

    def _cut_rest_of_stream(
        self,
        texts: Texts,
        documents: Iterable[str],
        tokenizer: PreTrainedTokenizerBase,
        width: int,
    ) -> list[list[int]]:
        """Cut windows from the documents after the calibration set, or around it in one text."""
        samples, _ = self._size
        begin = 0 if texts.shuffled else self.seed * self.skip * width
        end = begin + self.skip * width
        if texts.single:
            ids = _tokens_of_stream(documents, texts.joint, tokenizer, end + samples * width)
            parts = [ids[end:], ids[:begin]]
        else:
            rest = _beyond(texts, documents, tokenizer, end)
            parts = [_tokens_of_stream(rest, texts.joint, tokenizer, samples * width)]
        starts = [(part, i) for part in parts for i in range(0, len(part) - width + 1, width)]
        self._check_held_out(len(starts))
        return [part[i : i + width] for part, i in starts[:samples]]

    def _check_held_out(self, found: int) -> None:
        """Raise ConfigError if fewer samples are left than the calibration set has."""
        if found < self.skip:
            raise ConfigError(
                f"data {self.data!r} has {found} sequences of {self._size[1]:,} tokens beside its "
                f"calibration set, but {self.skip} are to be held out: lower --{self.name}.samples "
                f"or --{self.name}.length"
            )

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
    return _taken(iter(texts), joint, tokenizer, count)[1]


def _beyond(
    texts: Texts, documents: Iterable[str], tokenizer: PreTrainedTokenizerBase, count: int
) -> Iterator[str]:
    """Yield the documents after the one that holds the last of `count` tokens of the stream.

    Of long documents, those that occur before too are left out; short ones are mere lines.
    """
    later = iter(documents)
    taken, _ = _taken(later, texts.joint, tokenizer, count)
    last = bisect_left(
        range(len(taken)),
        count,
        key=lambda n: len(plain_tokens(tokenizer, texts.joint.join(taken[: n + 1]))),
    )
    before = set(taken[: last + 1]) if texts.long else set()
    yield from (text for text in chain(taken[last + 1 :], later) if text not in before)


def _taken(
    documents: Iterator[str], joint: str, tokenizer: PreTrainedTokenizerBase, count: int
) -> tuple[list[str], list[int]]:
    """Take documents until they have at least `count` tokens together; return both."""
    taken, characters = list[str](), 0
    wanted = 4 * count
    while True:
        for document in documents:
            taken.append(document)
            characters += len(document)
            if characters >= wanted:
                break
        ids = plain_tokens(tokenizer, joint.join(taken))
        if len(ids) >= count or characters < wanted:
            return taken, ids
        wanted *= 2


def _sample(first: list[int], ids: list[int]) -> Sample:
    """Return the tokens after `first`, each to be predicted from those before it."""
    import torch

    row = torch.tensor([first + ids])
    targets = torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)
    targets[:, : max(0, len(first) - 1)] = IGNORE
    return {"input_ids": row, "targets": targets}
