"""The settings of an evaluation: perplexity protocols, tasks, and options for both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.options import build, option, options_of

Bos: TypeAlias = Literal["auto", "every", "none", "tokenizer"]
"""The tokens before every window, or `tokenizer`: those that the tokenizer adds, once before the
whole joined text or before each document."""

COMMONSENSE = ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "boolq")
"""The six tasks of the paper (arXiv 2604.24938, section 3)."""

DEMO = "demo"
"""As a protocol or a task: the evaluation set that comes with prunekit."""

NEW_TOKENS = 40
"""How long continuations of prompts are, unless said."""


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """How texts and tasks are evaluated: flags, keys of a study's file, and arguments of Python."""

    limit: int | None = option(None, "most items of each task", low=1)
    include_path: Path | None = option(None, "folder with more tasks for lm-eval")
    num_fewshot: int | None = option(None, "few-shot examples; else what the task says", low=0)
    apply_chat_template: bool = option(False, "prompts of tasks as chats, as in lm-eval")
    batch_size: int = option(8, "items of a task at once; changes speed and roundings", low=1)
    ppl_length: int | None = option(None, "tokens per window; else the protocol's", low=2)
    ppl_stride: int | None = option(None, "tokens between windows; else their length", low=1)
    ppl_samples: int | None = option(None, "windows per text; else the protocol's", low=1)
    ppl_bos: Bos = option("auto", "what begins a window")
    ppl_column: str | None = option(None, "column of a file that holds the text")


@dataclass(frozen=True)
class EvalConfig(EvalOptions):
    """What is evaluated, and how."""

    perplexities: tuple[str, ...] = ()
    """protocols: `wikitext2`, `c4`, `lambada`, `demo`, a file, or `wikitext2=FILE`"""
    tasks: tuple[str, ...] = ()
    """names of lm-eval, `demo`, or `commonsense` for the paper's six"""

    @property
    def task_names(self) -> tuple[str, ...]:
        """Return the tasks without duplicates, with `commonsense` expanded."""
        expanded: list[str] = []
        for name in self.tasks:
            expanded += COMMONSENSE if name == "commonsense" else (name,)
        return tuple(dict.fromkeys(expanded))


def take_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of an evaluation out of what was given, and return their values.

    Raises ConfigError if one is none.
    """
    own = {o.name: given.pop(o.name) for o in options_of(EvalOptions) if o.name in given}
    options = vars(build(EvalOptions, own))
    return {name: options[name] for name in own}


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
