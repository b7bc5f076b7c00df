"""The texts of perplexity protocols: which documents, and how they are cut into windows.

Perplexities under different protocols do not compare, so each one has a name here and is recorded
in full beside its number.
"""

from __future__ import annotations

import itertools
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from prunekit.core.errors import ConfigError, Remark
from prunekit.core.options import suggest
from prunekit.hf.datasets import READERS, check_file, hub_rows, is_plain_text, stream_rows
from prunekit.hf.documents import TEXT, Document, documents_of_rows, text_column
from prunekit.plugins.commands.evaluate.config import DEMO, Bos, EvalConfig

DEMO_DATA = Path(__file__).parent / "demo-data"

Packing: TypeAlias = Literal["joined", "long-documents", "passages"]
"""Windows of all documents joined; one window of each document that is long enough; each document
by itself, cut if it is longer than a window."""

JOINT = "\n\n"
"""The separator of joined documents: a blank line."""


@dataclass(frozen=True)
class PerplexityProtocol:
    """Everything that changes a perplexity, except the model and its tokenizer."""

    name: str
    source: str
    """a data set on the hub, or a file"""
    subset: str | None = None
    split: str | None = None
    packing: Packing = "joined"
    length: int = 2048
    stride: int | None = None
    """tokens between windows of joined text; None is `length`: no token is counted twice"""
    samples: int | None = None
    """number of windows; None is all"""
    bos: Bos = "auto"
    column: str | None = None
    """the column of a file; None is `text`, or `messages` of chats"""
    seed: int = 0
    length_is_fixed: bool = False
    """if the user chose the length, so that it is not adapted to model or text"""


PROTOCOLS = {
    "wikitext2": PerplexityProtocol(
        "wikitext2", "Salesforce/wikitext", "wikitext-2-raw-v1", "test"
    ),
    "c4": PerplexityProtocol(
        "c4", "allenai/c4", "en", "validation", packing="long-documents", samples=256
    ),
    "lambada": PerplexityProtocol(
        "lambada", "EleutherAI/lambada_openai", "default", "test", packing="passages"
    ),
    DEMO: PerplexityProtocol(DEMO, DEMO, packing="passages"),
}


def protocols_of(config: EvalConfig) -> list[PerplexityProtocol]:
    """Return the requested protocols with the requested settings. Raises ConfigError for others."""
    return [_adapted(_named(name), config) for name in config.perplexities]


def _named(text: str) -> PerplexityProtocol:
    """Return a protocol of the table, also on a local file (`c4=FILE`), or that of a file."""
    name, _, file = text.partition("=")
    if name in PROTOCOLS and file:
        if name == DEMO:
            raise ConfigError(f"{text}: demo has its own text; give the file alone")
        return replace(PROTOCOLS[name], name=text, source=file, subset=None, split=None)
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    path = Path(text).expanduser()
    if not os.path.exists(path):  # unlike Path.exists, False too for a name that is too long
        raise ConfigError(
            f"{text[:100]}: no such protocol and no such file; a file ends in "
            f"{', '.join(READERS)}.{suggest(text, PROTOCOLS)}"
        )
    check_file(path, ", ".join(PROTOCOLS))
    return PerplexityProtocol(text, text)


def _adapted(protocol: PerplexityProtocol, config: EvalConfig) -> PerplexityProtocol:
    stride, length = config.ppl_stride, config.ppl_length or protocol.length
    if stride is not None and protocol.packing != "joined":
        raise ConfigError(
            f"for joined text only, but {protocol.name} is read as {protocol.packing}; leave out "
            "one of the two",
            ("ppl_stride",),
        )
    if stride is not None and stride > length:
        raise ConfigError(
            f"{stride} is longer than a window of {length} tokens, so that text would be passed "
            "over; choose a shorter one",
            ("ppl_stride",),
        )
    if (column := config.ppl_column) is not None and not _has_columns(protocol):
        raise ConfigError(
            f"{protocol.name} has no column {column!r} to choose; name a file with rows, or leave "
            "it out",
            ("ppl_column",),
        )
    return replace(
        protocol,
        column=column,
        length=length,
        length_is_fixed=config.ppl_length is not None,
        stride=stride,
        samples=config.ppl_samples or protocol.samples,
        bos=config.ppl_bos,
    )


def documents_of(protocol: PerplexityProtocol) -> Iterator[Document]:
    """Read the documents, in the order in which the protocol uses them.

    Under a protocol of the table the empty rows of a file count as those on the hub do. Raises
    ConfigError if they are not available.
    """
    shuffle = protocol.packing == "long-documents"
    if protocol.split is not None:
        seed = protocol.seed if shuffle else None
        instead = f"give a file: {protocol.name}=FILE"
        rows = hub_rows(protocol.source, protocol.subset, protocol.split, instead, seed)
        return text_column(rows, protocol.source)
    texts = _of_file(protocol)
    return iter(random.Random(protocol.seed).sample(texts, len(texts)) if shuffle else texts)


def check_documents(protocol: PerplexityProtocol) -> None:
    """Raise ConfigError unless there is at least one document; remarks are left to the reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Remark)
        if not list(itertools.islice(documents_of(protocol), 1)):
            raise ConfigError(f"data {protocol.source!r} is empty")


def _of_file(protocol: PerplexityProtocol) -> Sequence[Document]:
    path = Path(protocol.source).expanduser()
    if protocol.source == DEMO:
        path = DEMO_DATA / "evaluation-passages.jsonl"
    rows, as_on_hub = stream_rows(path, ", ".join(PROTOCOLS)), _is_of_table(protocol)
    if not is_plain_text(path):
        column, cure = protocol.column or TEXT, "name it with --ppl-column"
        return documents_of_rows(rows, str(path), column, cure, keep_blank=as_on_hub)
    texts = list(text_column(rows, str(path)))
    return [line for text in texts for line in _lines(text)] if as_on_hub else texts


def _has_columns(protocol: PerplexityProtocol) -> bool:
    """Return True for the rows of a file, as opposed to plain text and data with one column."""
    of_file = protocol.split is None and protocol.source != DEMO
    return of_file and not is_plain_text(Path(protocol.source))


def _is_of_table(protocol: PerplexityProtocol) -> bool:
    return protocol.name.partition("=")[0] in PROTOCOLS


def _lines(text: str) -> Iterator[str]:
    """Split plain text as WikiText on the hub: one row per line, blank lines as empty rows."""
    for line in text.removesuffix("\n").split("\n"):
        yield f"{line}\n" if line.strip() else ""
