"""What is to be evaluated: perplexities by protocol, accuracies by task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.options import flag_name
from prunekit.hf.tokens import Beginning

Bos: TypeAlias = Beginning | Literal["tokenizer"]
"""What stands before every window, or `tokenizer`: what the tokenizer puts before a text, once
before the whole joined text or before each document."""
BOS = ("auto", "every", "none", "tokenizer")

COMMONSENSE = ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "boolq")
"""The six tasks of the study (arXiv 2604.24938, section 3)."""

DEMO = "demo"
"""As a protocol or a task: the evaluation set that comes with prunekit."""


@dataclass(frozen=True)
class Wanted:
    """What is to be evaluated, and how. Raises ConfigError where a number is out of range."""

    perplexities: tuple[str, ...] = ()
    """protocols: `wikitext2`, `c4`, `lambada`, `demo`, a file, or `wikitext2=FILE`"""
    tasks: tuple[str, ...] = ()
    """names of lm-eval, `demo`, or `commonsense` for the study's six"""
    limit: int | None = None
    """at most so many items of each task"""
    include_path: Path | None = None
    """a folder with task files for lm-eval"""
    num_fewshot: int | None = None
    """solved examples before each item; None leaves it to the task"""
    batch_size: int = 8
    """items of a task at once; changes speed and memory, and roundings"""
    ppl_length: int | None = None
    """tokens a window; None leaves it to the protocol"""
    ppl_stride: int | None = None
    """tokens from window to window of joined text; None is the whole window"""
    ppl_samples: int | None = None
    """windows; None leaves it to the protocol"""
    ppl_bos: Bos = "auto"

    def __post_init__(self) -> None:
        for name in ("limit", "batch_size", "ppl_stride", "ppl_samples"):
            _check(name, getattr(self, name), 1)
        _check("ppl_length", self.ppl_length, 2)
        _check("num_fewshot", self.num_fewshot, 0)
        if self.ppl_bos not in BOS:
            raise ConfigError(f"--ppl-bos: expected {', '.join(BOS)}, got {self.ppl_bos!r}")

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, with `commonsense` spelt out and none named twice."""
        spelt: list[str] = []
        for name in self.tasks:
            spelt += COMMONSENSE if name == "commonsense" else (name,)
        return tuple(dict.fromkeys(spelt))


def names_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names as they are typed, `piqa,boolq`, or listed in Python; ConfigError for an empty one.

    >>> names_of("piqa, boolq")
    ('piqa', 'boolq')
    """
    listed = given.split(",") if isinstance(given, str) else list(given)
    names = tuple(str(name).strip() for name in listed)
    if not all(names):
        raise ConfigError(f"expected names with commas between them, got {given!r}")
    return tuple(dict.fromkeys(names))


def _check(name: str, value: int | None, low: int) -> None:
    if value is not None and (not isinstance(value, int) or value < low):
        raise ConfigError(f"{flag_name(name)}: expected a number from {low}, got {value!r}")
