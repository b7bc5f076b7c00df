"""Named protocols of perplexity: which text, how it is cut, what is counted.

Perplexities of one model differ by a factor with the length of sequences, with what joins
documents and with what begins a sequence. So a protocol has a name, and everything that it says is
recorded beside the number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.plugins.objectives.rows import READERS, demo_rows, file_rows, hub_rows, kind_of
from prunekit.plugins.objectives.texts import column

STUDY_LENGTH = 2048


@dataclass(frozen=True)
class Protocol:
    """How a text becomes sequences whose tokens are predicted."""

    name: str
    source: str
    """where the text comes from"""
    length: int
    """tokens a sequence, or as many as the model's context holds"""
    stride: int | None = None
    """tokens from one sequence to the next; None is the whole length, so none is predicted twice"""
    joint: str | None = "\n\n"
    """what stands between documents; None cuts one sequence from each that is long enough"""
    sequences: int | None = None
    """how many; None takes all there are"""
    bos: bool = False
    """begin every sequence with the beginning-of-text token"""

    def within(self, context: int | None) -> Protocol:
        """The same for a model that cannot read as much at once."""
        if context is None or self.length <= context:
            return self
        return dataclasses.replace(self, length=context)

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)


def _hub(name: str, subset: str | None, split: str) -> Callable[[], Iterable[dict[str, Any]]]:
    return lambda: hub_rows(name, subset, split)


NAMED = {
    "wikitext2": Protocol("wikitext2", "Salesforce/wikitext wikitext-2-raw-v1 test", STUDY_LENGTH),
    "c4": Protocol("c4", "allenai/c4 en validation", STUDY_LENGTH, joint=None, sequences=256),
    "lambada": Protocol("lambada", "EleutherAI/lambada_openai test", STUDY_LENGTH),
    "demo": Protocol("demo", "held-out passages that come with prunekit", 128, joint=None),
}
"""The study's three (arXiv 2604.24938, section 4), cut as we read it, and the demo's."""

ROWS: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
    "wikitext2": _hub("Salesforce/wikitext", "wikitext-2-raw-v1", "test"),
    "c4": _hub("allenai/c4", "en", "validation"),
    "lambada": _hub("EleutherAI/lambada_openai", "default", "test"),
    "demo": lambda: demo_rows("evaluation-passages"),
}


def protocol_of(name: str, **changes: Any) -> Protocol:
    """The protocol of that name, or that of a local file; ConfigError where it is neither.

    `changes` are fields of the protocol that differ; None leaves them as they are.
    """
    given = {field: value for field, value in changes.items() if value is not None}
    protocol = NAMED.get(name) or Protocol(name, _file(name).name, STUDY_LENGTH)
    protocol = dataclasses.replace(protocol, **given)
    if protocol.stride is not None and not 1 <= protocol.stride < protocol.length:
        raise ConfigError(
            f"a stride of {protocol.stride} does not fit sequences of {protocol.length} tokens; "
            "expected 1 or more, and less than the length"
        )
    return protocol


def documents_of(protocol: Protocol) -> Iterable[str]:
    """The documents of its text; ConfigError where they cannot be had."""
    rows = ROWS[protocol.name]() if protocol.name in NAMED else file_rows(_file(protocol.name))
    return column(rows, protocol.name)


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if kind_of(path) not in READERS:
        raise ConfigError(
            f"no perplexity protocol is called {name!r}, nor is it a file that ends in "
            f"{', '.join(READERS)}.{suggest(name, NAMED)}"
        )
    if not path.is_file():
        raise ConfigError(f"{name}: no such file; give one of yours, or {', '.join(NAMED)}")
    return path
