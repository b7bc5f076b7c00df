"""The documents of a perplexity protocol: from the hub, a local file, or embedded."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from prunekit.core.errors import ConfigError
from prunekit.hf.datasets import file_rows, hub_rows, is_plain_text, text_column
from prunekit.plugins.commands.evaluate.protocols import PROTOCOLS, PerplexityProtocol
from prunekit.plugins.commands.evaluate.wanted import DEMO

DEMO_DATA = Path(__file__).parent / "demo-data"


def documents_of(protocol: PerplexityProtocol) -> Iterator[str]:
    """The documents, in the order in which the protocol uses them.

    ConfigError where they cannot be had.
    """
    shuffle = protocol.packing == "long-documents"
    if protocol.split is not None:
        return _of_hub(protocol, shuffle)
    texts = _of_file(protocol)
    return iter(random.Random(protocol.seed).sample(texts, len(texts)) if shuffle else texts)


def check_documents(protocol: PerplexityProtocol) -> None:
    """ConfigError where there is not even one document to be had."""
    if not list(itertools.islice(documents_of(protocol), 1)):
        raise ConfigError(f"data {protocol.source!r} is empty")


def _of_hub(protocol: PerplexityProtocol, shuffle: bool) -> Iterator[str]:
    assert protocol.split is not None
    instead = f"give a file: {protocol.name}=FILE"
    seed = protocol.seed if shuffle else None
    rows = hub_rows(protocol.source, protocol.subset, protocol.split, instead, seed)
    return text_column(rows, protocol.source)


def _of_file(protocol: PerplexityProtocol) -> list[str]:
    if protocol.source == DEMO:
        path = DEMO_DATA / "evaluation-passages.jsonl"
    else:
        path = Path(protocol.source).expanduser()
    texts = list(text_column(file_rows(path, ", ".join(PROTOCOLS)), str(path)))
    if is_plain_text(path) and protocol.name.partition("=")[0] in PROTOCOLS:
        return list(_lines(texts))
    return texts


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Plain text as WikiText is kept on the hub: a row a line, blank lines as empty rows."""
    for text in texts:
        for line in text.removesuffix("\n").split("\n"):
            yield f"{line}\n" if line.strip() else ""
