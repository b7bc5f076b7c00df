"""The format of Commonsense-170k (LLM-Adapters, Hu et al., arXiv 2304.01933).

Eight tasks in one file, each item an instruction that ends in its labels:

    Please choose the correct answer to the question: ...

    Answer1: ... Answer2: ...

    Answer format: answer1/answer2
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.core import ConfigError
from prunekit.plugins.objectives.item import Item, check_unread, likeliest_blank

FORMAT = re.compile(r"\s*Answer format:\s*(\S+)\s*$")
IMPERATIVE = re.compile(r"^\s*Please [^:]*:\s*")
LABEL = re.compile(r"([a-z]+)(\d+)")
READ = frozenset(("instruction", "answer", "output", "task"))
"""The columns of this format; the last two repeat the answer and name the data set."""


@dataclass(frozen=True)
class Question:
    """An instruction, taken apart."""

    stem: str
    choices: tuple[str, ...]
    labels: tuple[str, ...]
    blank: bool
    """the stem is a sentence with `_` in place of the answer, as in WinoGrande"""


def is_commonsense(row: Mapping[str, Any]) -> bool:
    """Return True if a row has this format."""
    texts = all(isinstance(row.get(name), str) for name in ("instruction", "answer"))
    return texts and row.get("choices") is None


def item_of_instruction(row: Mapping[str, Any], place: str) -> Item | None:
    """Read the item of a row; None if a wrong choice equals the right one, as in a few items.

    Raises ConfigError if it is no item of this format, or has text in a column that is not read;
    `place` names the row in the message.
    """
    question = parse_commonsense(row["instruction"], f"{place}: ")
    where = f"{place}, item {question.stem[:40]!r}"
    check_unread(row, READ, "add its text to `instruction`", where)
    if row["answer"] not in question.labels:
        raise ConfigError(
            f"{where}: the answer {reprlib.repr(row['answer'])} is not one of "
            f"{', '.join(question.labels)}; fix the item or drop it"
        )
    answer = question.labels.index(row["answer"])
    if question.choices.count(question.choices[answer]) > 1:
        return None
    blank = likeliest_blank(question.stem) if question.blank else None
    return Item(
        prompt=question.stem if blank else f"Question: {question.stem}\nAnswer:",
        choices=question.choices,
        answer=answer,
        labels=question.labels,
        instruction=row["instruction"],
        blank=blank,
    )


def parse_commonsense(instruction: str, where: str = "") -> Question:
    """Take an instruction apart; ConfigError, which begins with `where`, if it has another format.

    Markers of choices are searched from the last to the first and from the right, so that text in
    the question that looks like one cannot match.
    """
    format_line = FORMAT.search(instruction)
    if not format_line:
        raise ConfigError(
            f"{where}not an item of Commonsense-170k: {instruction[:60]!r} ends in no format; "
            "fix the item or drop it"
        )
    labels = tuple(format_line[1].split("/"))
    body = instruction[: format_line.start()]
    if set(labels) <= {"true", "false"}:
        return Question(IMPERATIVE.sub("", body).strip(), labels, labels, blank=False)
    choices: list[str] = []
    for label in reversed(labels):
        body, choice = _cut(body, label, instruction, where)
        choices.insert(0, choice)
    stem = IMPERATIVE.sub("", body).strip()
    blank = labels[0].startswith("option") and "_" in stem
    return Question(stem, tuple(choices), labels, blank)


def _cut(body: str, label: str, instruction: str, where: str) -> tuple[str, str]:
    """Return the text before the last marker of this label, and the text after it."""
    parts = LABEL.fullmatch(label)
    marker = f"{parts[1].capitalize()}{parts[2]}:" if parts else f"{label}:"
    place = body.rfind(marker)
    if place < 0:
        raise ConfigError(
            f"{where}not an item of Commonsense-170k: {instruction[:60]!r} has no choice "
            f"{marker!r}; fix the item or drop it"
        )
    return body[:place], body[place + len(marker) :].strip()
