"""The settings of an evaluation: perplexity protocols, tasks, and options for both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.hf.tokens import Beginning

Bos: TypeAlias = Beginning | Literal["tokenizer"]
"""The tokens before every window, or `tokenizer`: those that the tokenizer adds, once before the
whole joined text or before each document."""
BOS = ("auto", "every", "none", "tokenizer")

COMMONSENSE = ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "boolq")
"""The six tasks of the paper (arXiv 2604.24938, section 3)."""

DEMO = "demo"
"""As a protocol or a task: the evaluation set that comes with prunekit."""

NEW_TOKENS = 40
"""How long continuations of prompts are, unless said."""

LOWEST = {
    "limit": 1,
    "batch_size": 1,
    "ppl_stride": 1,
    "ppl_samples": 1,
    "ppl_length": 2,
    "num_fewshot": 0,
}


@dataclass(frozen=True)
class EvalConfig:
    """The settings of an evaluation. Raises ConfigError with a key if one is out of range."""

    perplexities: tuple[str, ...] = ()
    """protocols: `wikitext2`, `c4`, `lambada`, `demo`, a file, or `wikitext2=FILE`"""
    tasks: tuple[str, ...] = ()
    """names of lm-eval, `demo`, or `commonsense` for the paper's six"""
    limit: int | None = None
    """maximum number of items of each task"""
    include_path: Path | None = None
    """a folder with task files for lm-eval"""
    num_fewshot: int | None = None
    """few-shot examples before each item; None leaves it to the task"""
    apply_chat_template: bool = False
    """whether prompts of tasks are rendered by the tokenizer's chat template, as in lm-eval"""
    batch_size: int = 8
    """items of a task at once; changes speed and memory, and roundings"""
    ppl_length: int | None = None
    """tokens per window; None leaves it to the protocol"""
    ppl_stride: int | None = None
    """tokens between the starts of windows of joined text; None is the window length"""
    ppl_samples: int | None = None
    """number of windows; None leaves it to the protocol"""
    ppl_bos: Bos = "auto"
    ppl_column: str | None = None
    """the column of files that holds the text; None is `text`, or `messages` of chats"""

    def __post_init__(self) -> None:
        for name, low in LOWEST.items():
            value = vars(self)[name]
            if value is not None and (not isinstance(value, int) or value < low):
                raise ConfigError(f"expected a number from {low}, got {value!r}", (name,))
        if not isinstance(self.apply_chat_template, bool):
            raise ConfigError(
                f"expected true or false, got {self.apply_chat_template!r}",
                ("apply_chat_template",),
            )
        if self.ppl_bos not in BOS:
            raise ConfigError(f"expected {', '.join(BOS)}, got {self.ppl_bos!r}", ("ppl_bos",))

    @property
    def task_names(self) -> tuple[str, ...]:
        """Return the tasks without duplicates, with `commonsense` expanded."""
        expanded: list[str] = []
        for name in self.tasks:
            expanded += COMMONSENSE if name == "commonsense" else (name,)
        return tuple(dict.fromkeys(expanded))


def names_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """Split names typed as `piqa,boolq`, or take a list. Raises ConfigError if one is empty.

    >>> names_of("piqa, boolq")
    ('piqa', 'boolq')
    """
    listed = given.split(",") if isinstance(given, str) else list(given)
    names = tuple(str(name).strip() for name in listed)
    if not all(names):
        raise ConfigError(f"expected names with commas between them, got {given!r}")
    return tuple(dict.fromkeys(names))
