"""Perplexity protocols: which text, how it is cut into windows, what is counted.

Perplexities under different protocols do not compare, so each one is named here and recorded in
full beside its number.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.hf.datasets import READERS
from prunekit.plugins.commands.evaluate.wanted import DEMO, Bos, Wanted

Packing: TypeAlias = Literal["joined", "long-documents", "passages"]
"""Windows of all documents joined; one window of each document that is long enough; each document
by itself, cut where it is longer than a window."""

JOINT = "\n\n"
"""What stands between joined documents: a blank line."""


@dataclass(frozen=True)
class PerplexityProtocol:
    """Everything that changes a perplexity, but for the model and its tokenizer."""

    name: str
    source: str
    """a data set on the hub, or a file"""
    subset: str | None = None
    split: str | None = None
    packing: Packing = "joined"
    length: int = 2048
    stride: int | None = None
    """tokens from window to window of joined text; None is `length`: no token is counted twice"""
    samples: int | None = None
    """windows; None is all there are"""
    bos: Bos = "auto"
    seed: int = 0
    length_is_fixed: bool = False
    """whether the length was asked for, and is not to be adapted to model or text"""


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


def protocols_of(wanted: Wanted) -> list[PerplexityProtocol]:
    """The protocols asked for, with what was asked about all of them; ConfigError for others."""
    return [_adapted(_named(name), wanted) for name in wanted.perplexities]


def _named(text: str) -> PerplexityProtocol:
    """A protocol of the table, the same on a local file (`c4=FILE`), or that of a file."""
    name, _, file = text.partition("=")
    if name in PROTOCOLS and file:
        if name == DEMO:
            raise ConfigError(f"--ppl {text}: demo has its own text; give the file alone")
        return dataclasses.replace(PROTOCOLS[name], name=text, source=file, subset=None, split=None)
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if not Path(text).expanduser().is_file():
        raise ConfigError(
            f"--ppl {text}: no such protocol and no such file; a file ends in "
            f"{', '.join(READERS)}.{suggest(text, PROTOCOLS)}"
        )
    return PerplexityProtocol(text, text)


def _adapted(protocol: PerplexityProtocol, wanted: Wanted) -> PerplexityProtocol:
    if wanted.ppl_stride is not None and protocol.packing != "joined":
        raise ConfigError(
            f"--ppl-stride is for joined text, but {protocol.name} is read as "
            f"{protocol.packing}; leave out one of the two"
        )
    length = wanted.ppl_length or protocol.length
    if wanted.ppl_stride is not None and wanted.ppl_stride > length:
        raise ConfigError(
            f"--ppl-stride {wanted.ppl_stride}: longer than a window of {length} tokens, so that "
            "text would be passed over; choose a shorter one"
        )
    return dataclasses.replace(
        protocol,
        length=length,
        length_is_fixed=wanted.ppl_length is not None,
        stride=wanted.ppl_stride,
        samples=wanted.ppl_samples or protocol.samples,
        bos=wanted.ppl_bos,
    )
