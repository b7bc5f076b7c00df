"""Multiple-choice items: embedded, of Commonsense-170k, or from a local file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core import ConfigError, file_rows, guarded, hub_rows
from prunekit.plugins.objectives.commonsense import is_commonsense, parse_commonsense
from prunekit.plugins.objectives.rows import (
    demo_rows,
    disjoint_draws,
    draw,
    instead_of_hub,
    shuffled,
)

COMMONSENSE = "zwhe99/commonsense_170k"
LABEL = "the correct answer is"
DEMO_ITEMS = "calibration-items"
NAMES = "demo, commonsense_170k"


@dataclass(frozen=True)
class Item:
    """A question, or a text to be continued, with several answers of which one is right."""

    stem: str
    choices: tuple[str, ...]
    answer: int
    labels: tuple[str, ...]
    instruction: str
    """the question with its choices listed, as an instruction to a model"""
    bare: bool = False
    """the stem is no question but text, which the choices continue or, at `_`, complete"""

    def by_content(self) -> list[tuple[str, str]]:
        """Context and continuation for each choice, which is told by its text."""
        if self.bare and "_" in self.stem:
            return [("", self.stem.replace("_", choice, 1)) for choice in self.choices]
        context = self.stem if self.bare else f"Question: {self.stem}\nAnswer:"
        return [(context, f" {choice}") for choice in self.choices]

    def by_label(self) -> list[tuple[str, str]]:
        """Context, which lists all choices, and the label of each as continuation."""
        return [(f"{self.instruction}\n\n{LABEL}", f" {label}") for label in self.labels]


def disjoint_draws_of_items(data: str, samples: int) -> int | None:
    """How many draws of `data` share no item; None where that is not known."""
    return disjoint_draws(demo_rows(DEMO_ITEMS), samples) if data == "demo" else None


def load_items(data: str, seed: int, samples: int, objective: str) -> list[Item]:
    """`samples` items for an objective, draw `seed`.

    ConfigError where there are too few or one is wrong.
    """
    if data == "demo":
        items = _parsed(draw(demo_rows(DEMO_ITEMS), seed, samples), data)
    else:
        rows = _of_hub(objective) if data == "commonsense_170k" else _of_file(data)
        items = _first(_parsed(shuffled(guarded(rows, data), seed), data), samples)
    found = list(items)
    if len(found) < samples:
        raise ConfigError(
            f"data {data!r} has {len(found)} usable items, asked for were {samples}: lower "
            f"--{objective}.samples"
        )
    return found


def _of_hub(objective: str) -> Iterable[dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = hub_rows(COMMONSENSE, None, "train", instead_of_hub(objective))
    return rows


def _of_file(data: str) -> list[dict[str, Any]]:
    return file_rows(Path(data).expanduser(), NAMES)


def _first(items: Iterator[Item], count: int) -> Iterator[Item]:
    for _, item in zip(range(count), items, strict=False):
        yield item


def _parsed(rows: Iterable[Mapping[str, Any]], data: str) -> Iterator[Item]:
    for row in rows:
        item = _commonsense(row, data) if is_commonsense(row) else _general(row, data)
        if item is not None:
            yield item


def _commonsense(row: Mapping[str, Any], data: str) -> Item | None:
    """None where a wrong choice reads like the right one, as in a few items of that set."""
    question = parse_commonsense(row["instruction"])
    if row["answer"] not in question.labels:
        raise ConfigError(
            f"data {data!r}, item {question.stem[:40]!r}: the answer {row['answer']!r} is none of "
            f"{', '.join(question.labels)}; mend the item or leave it out"
        )
    answer = question.labels.index(row["answer"])
    right = question.choices[answer]
    if question.choices.count(right) > 1:
        return None
    return Item(
        question.stem, question.choices, answer, question.labels, row["instruction"], question.blank
    )


def _wrong(data: str, expected: str, got: Any) -> ConfigError:
    return ConfigError(
        f"data {data!r}: an item needs {expected}, not {got!r}; mend it or leave it out"
    )


def _general(row: Mapping[str, Any], data: str) -> Item:
    """An item of `question` or `context`, `choices`, and `answer`: a choice, or its index."""
    stem = row.get("question") or row.get("context")
    choices, answer = row.get("choices"), row.get("answer")
    if stem is None or choices is None or answer is None:
        found = ", ".join(name for name, value in row.items() if value is not None)
        raise ConfigError(
            f"data {data!r}: expected the columns `question`, `choices` and `answer`, found "
            f"{found or 'nothing'}"
        )
    if not isinstance(stem, str):
        raise _wrong(data, "text as its question", stem)
    if not isinstance(choices, list) or not all(isinstance(c, str | int | float) for c in choices):
        raise _wrong(data, "a list of texts as `choices`", choices)
    texts = tuple(map(str, choices))
    if answer in texts:
        answer = texts.index(answer)
    where = f"data {data!r}, item {stem[:40]!r}"
    if type(answer) is not int or not 0 <= answer < len(texts):
        raise ConfigError(
            f"{where}: the answer {answer!r} is none of its {len(texts)} choices; give the text "
            "of the right one, or its index from 0"
        )
    if len(texts) < 2 or len(set(texts)) < len(texts) or not all(t.strip() for t in texts):
        raise ConfigError(f"{where}: expected two or more different choices, got {list(texts)}")
    labels = tuple(f"answer{number}" for number in range(1, len(texts) + 1))
    listed = " ".join(f"Answer{number}: {text}" for number, text in enumerate(texts, start=1))
    instruction = (
        f"Please choose the correct answer to the question: {stem}\n\n{listed}\n\n"
        f"Answer format: {'/'.join(labels)}"
    )
    return Item(stem, texts, answer, labels, instruction, bare="context" in row)
