"""Cut the text of a protocol into windows of tokens, and measure perplexities on them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import ModelAdapter, Objective, Output
from prunekit.core.measurement import Measurement, Piece
from prunekit.core.problem import Subset
from prunekit.engine.bos import begins_with
from prunekit.engine.progress import Progress
from prunekit.hf.documents import rendered
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import first_tokens, negative_log_likelihood, plain_tokens
from prunekit.plugins.commands.evaluate.config import Bos
from prunekit.plugins.commands.evaluate.scores import PerplexityScore
from prunekit.plugins.commands.evaluate.texts import JOINT, PerplexityProtocol, documents_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

Tokenize: TypeAlias = Callable[[str], list[int]]


class Window(NamedTuple):
    """Tokens, of which the first `context` are read but not predicted."""

    ids: list[int]
    context: int


@dataclass(frozen=True)
class Windows(Objective):
    """The windows of one protocol, as an objective that a meter can measure."""

    name: ClassVar[str] = "perplexity"
    unit: ClassVar[str] = "nats per token"
    protocol: PerplexityProtocol
    samples: Sequence[Sample]
    record: dict[str, Any]
    """the protocol in full, and the windows cut: their number, tokens, digest, and remarks"""

    @property
    def digest(self) -> str:
        """Return a digest of the tokens."""
        return str(self.record["digest"])

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        """Return the windows, which are cut already."""
        return self.samples

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return summed negative log-likelihood and number of predicted tokens of each window."""
        return negative_log_likelihood(output, batch)


def cut(
    protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase, context_length: int | None
) -> Windows:
    """Read the text and cut it. Raises ConfigError if it gives no window, or one does not fit.

    A window longer than the model's context is shortened to it, and the record says so, unless the
    user gave the length.
    """
    asked = protocol.length
    protocol = _fitted(protocol, context_length)
    remarks = [] if protocol.length == asked else [f"{asked} tokens asked; the context holds fewer"]
    windows = _windows(protocol, tokenizer)
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


def _windows(protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase) -> list[Window]:
    """Cut the documents, put the first tokens before each piece, and drop what predicts nothing."""
    first = _first(protocol, tokenizer)
    cutter = {"joined": _joined, "long-documents": _long_documents, "passages": _passages}
    width, tokenize = protocol.length - len(first), partial(_tokenize, tokenizer, protocol.bos)
    begins = first_tokens(tokenizer, "auto", "") if protocol.bos == "tokenizer" else first
    documents = rendered(documents_of(protocol), tokenizer, begins, protocol.source)
    pieces = cutter[protocol.packing](protocol, width, tokenize, documents)
    windows = [Window(first + ids, max(1, len(first) + seen)) for ids, seen in pieces]
    return [window for window in windows if len(window.ids) > window.context]


def _joined(
    protocol: PerplexityProtocol, width: int, tokenize: Tokenize, documents: Iterable[str]
) -> Iterator[tuple[list[int], int]]:
    """Cut the whole text into pieces of `width` tokens; the rest at its end is dropped.

    If they overlap, a token is predicted in the first window that reaches it. A text shorter
    than a window is one window, unless the user gave the length.
    """
    ids = tokenize(JOINT.join(documents))
    if len(ids) < width and not protocol.length_is_fixed:
        width = len(ids)
    step = min(protocol.stride or width, width)
    starts = range(0, len(ids) - width + 1, step) if width else range(0)
    for start in itertools.islice(starts, protocol.samples):
        yield ids[start : start + width], width - step if start else 0


def _long_documents(
    protocol: PerplexityProtocol, width: int, tokenize: Tokenize, documents: Iterable[str]
) -> Iterator[tuple[list[int], int]]:
    """Cut one random piece of each document that is longer, until there are enough."""
    rng = random.Random(protocol.seed)
    long = (ids for ids in map(tokenize, documents) if len(ids) > width)
    for ids in itertools.islice(long, protocol.samples):
        start = rng.randint(0, len(ids) - width - 1)
        yield ids[start : start + width], 0


def _passages(
    protocol: PerplexityProtocol, width: int, tokenize: Tokenize, documents: Iterable[str]
) -> Iterator[tuple[list[int], int]]:
    """Take every document by itself, the longest first, so that batches hold equal lengths."""
    chosen = itertools.islice(documents, protocol.samples)
    for ids in sorted((tokenize(text)[:width] for text in chosen), key=len, reverse=True):
        yield ids, 0


def _first(protocol: PerplexityProtocol, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the special tokens before every window."""
    if protocol.bos == "tokenizer":
        return []
    first = first_tokens(tokenizer, protocol.bos, "--ppl-bos")
    if len(first) >= protocol.length:
        raise ConfigError(
            f"--ppl-length {protocol.length}: expected more, as each window begins with "
            f"{len(first)} special tokens"
        )
    return first


def _tokenize(tokenizer: PreTrainedTokenizerBase, bos: Bos, text: str) -> list[int]:
    if bos != "tokenizer":
        return plain_tokens(tokenizer, text)
    ids: list[int] = tokenizer(text).input_ids
    return ids


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
    for ids, context in windows:
        digest.update(f"{context}:{','.join(map(str, ids))};".encode())
    described = dataclasses.asdict(protocol)
    del described["length_is_fixed"]
    joined = protocol.packing == "joined"
    return {
        **described,
        "joint": JOINT if joined else None,
        "stride": protocol.stride or (protocol.length if joined else None),
        "windows": len(windows),
        "tokens": sum(len(ids) - context for ids, context in windows),
        "digest": digest.hexdigest(),
        "remarks": list(remarks),
    }


def measure_perplexities(
    adapter: ModelAdapter,
    windows: Windows,
    subsets: Sequence[Subset],
    batches: Sequence[Batch],
    progress: Progress,
) -> dict[Subset, PerplexityScore]:
    """Measure every variant on the same windows, which `batches` hold.

    Each common prefix of blocks runs once, and full logits are never built.
    """
    meter = PrefixMeter(adapter, windows, batches)
    pieces: dict[Subset, list[Piece]] = {subset: [] for subset in subsets}
    name, total, done = windows.protocol.name, len(windows.samples) * len(pieces), 0
    for piece in meter.measure([list(pieces)] * len(batches)):
        pieces[piece.subset].append(piece)
        done += len(piece.sums)
        progress.count(f"perplexity on {name}", done, total, "windows")
    return {s: PerplexityScore(name, _together(p), windows.record) for s, p in pieces.items()}


def _together(pieces: Sequence[Piece]) -> Measurement:
    """Join the partial measurements of one variant; a meter yields them batch by batch."""
    return Measurement(
        tuple(x for piece in pieces for x in piece.sums),
        tuple(w for piece in pieces for w in piece.weights),
    )
