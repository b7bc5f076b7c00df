"""Cut the text of a protocol into windows of tokens, and say exactly what was cut."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import IGNORE, Batch, Objective, Output, Sample
from prunekit.engine.bos import begins_with
from prunekit.hf.tokens import first_tokens, negative_log_likelihood, plain_tokens
from prunekit.plugins.commands.evaluate.documents import documents_of
from prunekit.plugins.commands.evaluate.protocols import JOINT, PerplexityProtocol

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Window:
    """Tokens, of which the first `context` are read but not predicted."""

    ids: Sequence[int]
    context: int = 1


@dataclass(frozen=True)
class Windows(Objective):
    """The windows of one protocol, which a meter can measure as it measures an objective."""

    name: ClassVar[str] = "perplexity"
    unit: ClassVar[str] = "nats per token"
    protocol: PerplexityProtocol
    samples: Sequence[Sample]
    record: dict[str, Any]
    """the protocol in full, and what came of it: windows, tokens predicted, digest, remarks"""

    @property
    def digest(self) -> str:
        """What tells these tokens from others."""
        return str(self.record["digest"])

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        """The windows, which were cut already."""
        return self.samples

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summed negative log-likelihood and number of predicted tokens of each window."""
        return negative_log_likelihood(output, batch)


def cut(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase, context_length: int | None
) -> Windows:
    """Read the text and cut it; ConfigError where it gives no window, or one that does not fit.

    A window longer than the model's context is shortened to it, and the record says so, unless the
    length was asked for.
    """
    asked = protocol.length
    protocol = _fitted(protocol, context_length)
    remarks = [] if protocol.length == asked else [f"{asked} tokens asked; the context holds fewer"]
    cutters = {"joined": _joined, "long-documents": _long_documents, "passages": _passages}
    windows = list(cutters[protocol.packing](protocol, tokenizer, documents_of(protocol)))
    if not windows:
        raise ConfigError(
            f"the text of {protocol.name} gives no window of {protocol.length} tokens; lower "
            "--ppl-length"
        )
    longest = max(len(window.ids) for window in windows)
    if longest < protocol.length:
        remarks.append(f"the longest window has {longest} tokens")
    if protocol.samples is not None and len(windows) < protocol.samples:
        remarks.append(f"{protocol.samples} windows asked; the text gives {len(windows)}")
    samples = [_sample(window) for window in windows]
    record = _record(protocol, windows, remarks)
    return Windows(protocol, samples, {**record, "begins_with": begins_with(samples, tokenizer)})


def _fitted(protocol: PerplexityProtocol, context_length: int | None) -> PerplexityProtocol:
    if context_length is None or protocol.length <= context_length:
        return protocol
    if protocol.length_is_fixed:
        raise ConfigError(
            f"--ppl-length {protocol.length}: the model's context holds {context_length}"
        )
    stride = protocol.stride and min(protocol.stride, context_length)
    return dataclasses.replace(protocol, length=context_length, stride=stride)


def _joined(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase, documents: Iterable[str]
) -> Iterator[Window]:
    """Windows of the whole text, one after the other; what is left over at its end is dropped.

    Where they overlap, a token is predicted in the first window that reaches it. A text shorter
    than a window is one window, unless the length was asked for.
    """
    first, width = _first(protocol, tokenizer)
    ids = _tokens(JOINT.join(documents), protocol, tokenizer)
    if len(ids) < width and not protocol.length_is_fixed:
        width = len(ids)
    step = min(protocol.stride or width, width)
    starts = range(0, len(ids) - width + 1, step) if len(first) + width > 1 else range(0)
    for start in itertools.islice(starts, protocol.samples):
        seen = width - step if start else 0
        yield Window(first + ids[start : start + width], max(1, len(first) + seen))


def _long_documents(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase, documents: Iterable[str]
) -> Iterator[Window]:
    """One random window of each document that is longer, until there are enough."""
    first, width = _first(protocol, tokenizer)
    rng = random.Random(protocol.seed)
    tokenised = (_tokens(document, protocol, tokenizer) for document in documents)
    long = (ids for ids in tokenised if len(ids) > width)
    for ids in itertools.islice(long, protocol.samples):
        start = rng.randint(0, len(ids) - width - 1)
        yield Window(first + ids[start : start + width], max(1, len(first)))


def _passages(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase, documents: Iterable[str]
) -> Iterator[Window]:
    """Every document by itself, the longest first, so that windows of one length go together."""
    first, width = _first(protocol, tokenizer)
    chosen = itertools.islice(documents, protocol.samples)
    windows = [first + _tokens(text, protocol, tokenizer)[:width] for text in chosen]
    for ids in sorted(windows, key=len, reverse=True):
        if len(ids) > max(1, len(first)):
            yield Window(ids, max(1, len(first)))


def _first(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], int]:
    """What stands before every window, and how many tokens are cut for it."""
    if protocol.bos == "tokenizer":
        return [], protocol.length
    first = first_tokens(tokenizer, protocol.bos, "--ppl-bos")
    if len(first) >= protocol.length:
        raise ConfigError(
            f"--ppl-length {protocol.length}: expected more, as each window begins with "
            f"{len(first)} special tokens"
        )
    return first, protocol.length - len(first)


def _tokens(
    text: str, protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase
) -> list[int]:
    if protocol.bos == "tokenizer":
        ids: list[int] = tokenizer(text).input_ids
        return ids
    return plain_tokens(tokenizer, text)


def _sample(window: Window) -> Sample:
    import torch

    row = torch.tensor([window.ids])
    targets = torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1)
    targets[:, : window.context - 1] = IGNORE
    return {"input_ids": row, "targets": targets}


def _record(
    protocol: PerplexityProtocol, windows: Sequence[Window], remarks: Sequence[str]
) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=8)
    for window in windows:
        digest.update(f"{window.context}:{','.join(map(str, window.ids))};".encode())
    described = dataclasses.asdict(protocol)
    del described["length_is_fixed"]
    joined = protocol.packing == "joined"
    return {
        **described,
        "joint": JOINT if joined else None,
        "stride": protocol.stride or (protocol.length if joined else None),
        "windows": len(windows),
        "tokens": sum(len(window.ids) - window.context for window in windows),
        "digest": digest.hexdigest(),
        "remarks": list(remarks),
    }
