"""Cut the text of a protocol into sequences of tokens."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import IGNORE, Sample
from prunekit.workflows.evaluation.protocols import Protocol, documents_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Sequences:
    """The samples of a protocol for one tokenizer, and what is to be recorded of them."""

    samples: list[Sample]
    record: dict[str, Any]


def sequences_of(protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> Sequences:
    """Cut its text; ConfigError where there is too little, or no beginning-of-text token."""
    cut = _of_documents if protocol.joint is None else _of_stream
    rows = list(islice(cut(protocol, tokenizer), protocol.sequences))
    if not rows:
        raise ConfigError(
            f"the text of {protocol.name} gives no sequence of {protocol.length:,} tokens; lower "
            "--ppl-length, or give more text"
        )
    samples = [_sample(ids, first) for ids, first in rows]
    predicted = sum(int((s["targets"] != IGNORE).sum()) for s in samples)
    digest = hashlib.blake2b(repr(rows).encode(), digest_size=8).hexdigest()
    record = protocol.record() | {
        "sequences": len(rows),
        "tokens_predicted": predicted,
        "tokens_digest": digest,
    }
    return Sequences(samples, record)


def _of_documents(
    protocol: Protocol, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[list[int], int]]:
    """One window, always the same, from each document that is long enough."""
    before = _beginning(protocol, tokenizer)
    width = protocol.length - len(before)
    rng = random.Random(0)
    for document in documents_of(protocol):
        ids = tokenizer(document, add_special_tokens=not protocol.bos).input_ids
        if len(ids) >= width:
            start = rng.randint(0, len(ids) - width)
            yield before + ids[start : start + width], 1


def _of_stream(
    protocol: Protocol, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[list[int], int]]:
    """Windows of all documents joined, with the first position whose token is to be counted.

    What is left over at the end is dropped, unless the whole text is shorter than one window.
    Windows that overlap count only the tokens that no earlier one has.
    """
    assert protocol.joint is not None
    before = _beginning(protocol, tokenizer)
    width = protocol.length - len(before)
    step = min(protocol.stride or width, width)
    text = protocol.joint.join(documents_of(protocol))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    width = min(width, max(2, len(ids)))
    for start in range(0, len(ids) - width + 1, step):
        overlap = width - step if start else 0
        yield before + ids[start : start + width], max(1, len(before) + overlap)


def _beginning(protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    if not protocol.bos:
        return []
    if tokenizer.bos_token_id is None:
        raise ConfigError("this tokenizer has no beginning-of-text token; leave out --ppl-bos")
    return [tokenizer.bos_token_id]


def _sample(ids: list[int], first: int) -> Sample:
    """Predict the tokens from position `first` on."""
    import torch

    row = torch.tensor([ids])
    targets = torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)
    targets[:, : first - 1] = IGNORE
    return {"input_ids": row, "targets": targets}
