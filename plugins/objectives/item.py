"""Multiple-choice items: the texts that score their choices, blanks, and columns left unread."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import columns_in

AUTO, NONE = "auto", "none"
UNDERSCORES = re.compile(r"_+")
ALONE = re.compile(r"(?<!\S)_+(?=[\s.,;:!?'’]|$)")


Span = tuple[int, int]
"""Start and end of a blank in a sentence."""


def blank_in(sentence: str, how: str, where: str) -> Span | None:
    """Find the part of `sentence` that a choice replaces; None if choices continue it.

    With `auto` it is the only run of underscores that is a word of its own, ignoring underscores
    within words; with `none` there is no blank; any other `how` is the text itself. Raises
    ConfigError if that text occurs twice; `where` names the item in the message.

    >>> blank_in("A snake_case ____.", "auto", ""), blank_in("def add_one(x):", "auto", "")
    ((13, 17), None)
    """
    if how == NONE:
        return None
    if how == AUTO:
        alone = [run.span() for run in ALONE.finditer(sentence)]
        return alone[0] if len(alone) == 1 else None
    if sentence.count(how) > 1:
        raise ConfigError(
            f"{where}: the blank {how!r} occurs {sentence.count(how)} times; expected once, so "
            "that it is clear what a choice replaces"
        )
    start = sentence.find(how)
    return (start, start + len(how)) if start >= 0 else None


def likeliest_blank(sentence: str) -> Span | None:
    """Find the first run of underscores that is a word of its own, else the first run."""
    found = ALONE.search(sentence) or UNDERSCORES.search(sentence)
    return found.span() if found else None


LABEL = "the correct answer is"


@dataclass(frozen=True)
class Item:
    """A question, or a text to be continued, with several answers of which one is right."""

    prompt: str
    """the text before each choice, or the sentence whose `blank` it fills"""
    choices: tuple[str, ...]
    answer: int
    labels: tuple[str, ...]
    instruction: str
    """the question with its choices listed, as an instruction to a model"""
    blank: Span | None = None
    """the part of the prompt that a choice replaces"""

    def by_content(self) -> list[tuple[str, str]]:
        """Return context and continuation for each choice, scored by its text."""
        if self.blank:
            before, after = self.prompt[: self.blank[0]], self.prompt[self.blank[1] :]
            return [("", f"{before}{choice}{after}") for choice in self.choices]
        return [(self.prompt, f"{self._gap(choice)}{choice}") for choice in self.choices]

    def by_label(self) -> list[tuple[str, str]]:
        """Return the context that lists all choices, and each label as continuation."""
        return [(f"{self.instruction}\n\n{LABEL}", f" {label}") for label in self.labels]

    def _gap(self, choice: str) -> str:
        """Return a space before a choice, unless there is white space already."""
        return "" if self.prompt[-1:].isspace() or choice[:1].isspace() else " "


PASSAGES = ("context", "passage", "article", "support")
"""Names that data sets give the text that a question is about."""

ABOUT = frozenset(
    (
        *("id", "idx", "index", "qid", "uid", "uuid", "guid", "key", "hash"),
        *("source", "url", "dataset", "config", "version", "license", "author", "date", "year"),
        *("subject", "category", "topic", "domain", "tag", "tags", "type", "split", "fold"),
        *("difficulty", "level", "grade", "language", "lang", "metadata", "meta"),
        *("label", "labels", "answerkey", "answer_key", "answer_text", "correct_answer"),
        *("explanation", "explanations", "rationale", "rationales"),
    )
)
"""Columns that describe an item, in lower case: their text belongs in no prompt."""


def check_unread(row: Mapping[str, Any], read: Collection[str], cure: str, where: str) -> None:
    """Raise ConfigError if a column that is not read holds text that may belong in the prompt.

    That is any column outside `read` and ABOUT whose name does not end in `_id`; text in lists and
    objects counts. `cure` says where the text should go, `where` names the data.
    """
    for name, value in row.items():
        known = name.lower() in ABOUT or name.lower().endswith("_id")
        if name not in read and not known and _holds_text(value):
            raise ConfigError(
                f"{where}: the column `{columns_in([name])}` is not read; if it belongs before "
                f"the answer, {cure}, else leave it out"
            )


def _holds_text(value: Any) -> bool:
    """Return True if there is text in a value, at any depth."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str) and value.strip():
            return True
        if isinstance(value, Mapping | list):
            left += value.values() if isinstance(value, Mapping) else value
    return False
