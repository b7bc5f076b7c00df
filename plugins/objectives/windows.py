"""Windows of running text: the calibration set of objectives on language modelling."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from prunekit.core import IGNORE, ConfigError, Objective, Sample, option
from prunekit.hf import Beginning, first_tokens, plain_tokens
from prunekit.plugins.objectives.rows import check_data
from prunekit.plugins.objectives.texts import NAMES, Texts, disjoint_draws_of_texts, open_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["TextWindows"]

STUDY_SIZE = (64, 2048)
DEMO_SIZE = (32, 128)


@dataclass(frozen=True)
class TextWindows(Objective):
    """The options and the calibration set of an objective on text."""

    name: ClassVar[str]
    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}
    data: str = option("c4", "demo, c4, wikitext2, or a .txt, .jsonl or .parquet file")
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
        """ConfigError where `data` is neither a known name nor a file; nothing is read."""
        check_data(self.data, NAMES, self.name)

    def disjoint_draws(self) -> int | None:
        """How many draws share no document; None where that is not known."""
        return disjoint_draws_of_texts(self.data, self._size[0])

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """`samples` sequences of `length` tokens; ConfigError where the text is too short."""
        texts = open_texts(self.data, self.seed, self._size[0], self.name)
        documents = self.packing == "documents" or (self.packing == "auto" and texts.long)
        windows = self._cut_documents if documents else self._cut_stream
        first = first_tokens(tokenizer, self.add_bos, f"--{self.name}.add-bos")
        if len(first) >= self._size[1]:
            raise ConfigError(
                f"--{self.name}.length {self._size[1]}: expected more, as each sequence begins "
                f"with {len(first)} special tokens"
            )
        cut = windows(texts, tokenizer, self._size[1] - len(first))
        return [_sample(first, ids) for ids in cut]

    @property
    def _size(self) -> tuple[int, int]:
        samples, length = DEMO_SIZE if self.data == "demo" else STUDY_SIZE
        return self.samples or samples, self.length or length

    def _cut_documents(
        self, texts: Texts, tokenizer: PreTrainedTokenizerBase, width: int
    ) -> Iterator[list[int]]:
        """One random window from each document that has one, until there are enough."""
        samples, _ = self._size
        rng = random.Random(self.seed)
        found = seen = 0
        for document in texts.documents:
            ids = plain_tokens(tokenizer, document)
            seen += len(ids)
            if len(ids) < width:
                continue
            start = rng.randint(0, len(ids) - width)
            yield ids[start : start + width]
            found += 1
            if found == samples:
                return
        self._too_little(f"{found} documents that long, in {seen:,} tokens")

    def _cut_stream(
        self, texts: Texts, tokenizer: PreTrainedTokenizerBase, width: int
    ) -> Iterator[list[int]]:
        """Windows, one after the other, of all documents joined.

        Where documents stand in a fixed order, every draw takes the windows after the last one's.
        """
        samples, _ = self._size
        passed_over = 0 if texts.shuffled else self.seed * samples * width
        ids = _tokens_of_stream(texts, tokenizer, passed_over + samples * width)[passed_over:]
        if len(ids) < samples * width:
            if passed_over:
                left = f"{len(ids):,} tokens after {passed_over:,} of earlier draws"
                self._too_little(left, f"--{self.name}.seed, ")
            self._too_little(f"{len(ids):,} tokens")
        for start in range(0, samples * width, width):
            yield ids[start : start + width]

    def _too_little(self, found: str, lower: str = "") -> NoReturn:
        samples, length = self._size
        raise ConfigError(
            f"data {self.data!r} has {found}; asked for were {samples} sequences of {length:,} "
            f"tokens ({samples * length:,} in all): lower {lower}--{self.name}.samples "
            f"or --{self.name}.length"
        )


def _tokens_of_stream(texts: Texts, tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
    """At least `count` tokens of the joined documents, or all there are."""
    documents, taken, characters = iter(texts.documents), list[str](), 0
    wanted = 4 * count
    while True:
        for document in documents:
            taken.append(document)
            characters += len(document)
            if characters >= wanted:
                break
        ids = plain_tokens(tokenizer, texts.joint.join(taken))
        if len(ids) >= count or characters < wanted:
            return ids
        wanted *= 2


def _sample(first: list[int], ids: list[int]) -> Sample:
    """The tokens after `first`, each to be predicted from those before it, as far as there are."""
    import torch

    row = torch.tensor([first + ids])
    targets = torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)
    targets[:, : max(0, len(first) - 1)] = IGNORE
    return {"input_ids": row, "targets": targets}
