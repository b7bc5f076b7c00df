"""Perplexity: how well the model predicts running text."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from prunekit.core import (
    IGNORE,
    Batch,
    ConfigError,
    Output,
    Sample,
    hookimpl,
    option,
)
from prunekit.plugins.objectives.texts import Texts, open_texts

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

STUDY_SIZE = (64, 2048)
DEMO_SIZE = (32, 128)


@dataclass(frozen=True)
class Perplexity:
    """Mean negative log-likelihood per token; its exponential is the perplexity.

    The study (arXiv 2604.24938, section 4) takes 64 sequences of 2,048 tokens of C4. How they are
    cut it does not say; the default here is one random window from each document that is long
    enough, as its authors' later code does it.
    """

    name: ClassVar[str] = "ppl"
    unit: ClassVar[str] = "nats per token"
    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}
    data: str = option("c4", "demo, c4, wikitext2, or a .txt, .jsonl or .parquet file")
    samples: int | None = option(None, "sequences; by default 64, of demo data 32", low=1)
    length: int | None = option(None, "tokens a sequence; by default 2048, of demo data 128", low=2)
    packing: Literal["auto", "documents", "stream"] = option(
        "auto", "a window from each long document, or windows of all documents joined"
    )
    add_bos: bool = option(False, "begin every sequence with the beginning-of-text token")
    seed: int = option(0, "which draw of the data", low=0)

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """`samples` sequences of `length` tokens; ConfigError where the text is too short."""
        texts = open_texts(self.data, self.seed, self._size[0])
        documents = self.packing == "documents" or (self.packing == "auto" and texts.long)
        windows = self._cut_documents if documents else self._cut_stream
        return [_sample(row) for row in windows(texts, tokenizer)]

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summed negative log-likelihood and number of predicted tokens of each sequence."""
        import torch

        nll = -output.token_logprobs(batch.targets).to("cpu", torch.float64).sum(1)
        tokens = (batch.targets != IGNORE).sum(1)
        return nll, tokens

    def readings(self, loss: float) -> dict[str, float]:
        """The perplexity."""
        return {"perplexity": math.exp(loss) if loss < 700 else math.inf}

    @property
    def _size(self) -> tuple[int, int]:
        samples, length = DEMO_SIZE if self.data == "demo" else STUDY_SIZE
        return self.samples or samples, self.length or length

    def _cut_documents(
        self, texts: Texts, tokenizer: PreTrainedTokenizerBase
    ) -> Iterator[list[int]]:
        """One random window from each document that has one, until there are enough."""
        samples, _ = self._size
        first, width = self._window(tokenizer)
        rng = random.Random(self.seed)
        found = seen = 0
        for document in texts.documents:
            ids = tokenizer(document).input_ids
            seen += len(ids)
            if len(ids) < width:
                continue
            start = rng.randint(0, len(ids) - width)
            yield first + ids[start : start + width]
            found += 1
            if found == samples:
                return
        self._too_little(f"{found} documents that long, in {seen:,} tokens")

    def _cut_stream(self, texts: Texts, tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
        """Windows, one after the other, of all documents joined."""
        samples, _ = self._size
        first, width = self._window(tokenizer)
        joint = tokenizer(texts.joint, add_special_tokens=False).input_ids
        row: list[int] = []
        found = 0
        for document in texts.documents:
            row += (joint if row else []) + tokenizer(document).input_ids
            while len(row) >= width:
                yield first + row[:width]
                row = row[width:]
                found += 1
                if found == samples:
                    return
        self._too_little(f"{found * width + len(row):,} tokens")

    def _window(self, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], int]:
        """What stands before every window, and how many tokens are to be cut for it."""
        _, length = self._size
        if not self.add_bos:
            return [], length
        if tokenizer.bos_token_id is None:
            raise ConfigError("ppl.add_bos: this tokenizer has no beginning-of-text token")
        return [tokenizer.bos_token_id], length - 1

    def _too_little(self, found: str) -> NoReturn:
        samples, length = self._size
        raise ConfigError(
            f"data {self.data!r} has {found}; asked for were {samples} sequences of {length:,} "
            f"tokens ({samples * length:,} in all): lower --ppl.samples or --ppl.length"
        )


def _sample(ids: list[int]) -> Sample:
    import torch

    row = torch.tensor([ids])
    return {"input_ids": row, "targets": torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)}


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Perplexity]
