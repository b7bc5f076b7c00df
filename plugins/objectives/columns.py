"""Items as rows of question, passage, choices and answer: which columns are read, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunekit.core import ConfigError
from prunekit.plugins.objectives.answers import right_choice, text_of
from prunekit.plugins.objectives.blanks import blank_in
from prunekit.plugins.objectives.item import Item
from prunekit.plugins.objectives.unread import check_unread

PASSAGES = ("context", "passage", "article", "support")
"""What data sets call the text that a question is about."""

READ = frozenset(("question", *PASSAGES, "choices", "answer"))


def item_of_columns(row: Mapping[str, Any], blank: str, data: str) -> Item:
    """The item of a row with `question`, a passage or both, `choices` and `answer`.

    Decided by what this row holds; an empty column is none. Raises ConfigError where the row is no
    such item or has text in a column that is not read.
    """
    held = {name: value for name, value in row.items() if value not in (None, "", [])}
    _check_columns(held, data)
    question, passage = held.get("question"), _passage(held, data)
    stem: str = question or passage or ""
    where = f"data {data!r}, item {stem[:40]!r}"
    choices = _choices(held, data, where)
    texts = tuple(map(text_of, choices))
    labels = tuple(f"answer{number}" for number in range(1, len(texts) + 1))
    return Item(
        prompt=_prompt(passage, question),
        choices=texts,
        answer=right_choice(held["answer"], choices, where),
        labels=labels,
        instruction=_instruction(passage, question, texts, labels),
        blank=None if question else blank_in(stem, blank, where),
    )


def _check_columns(held: Mapping[str, Any], data: str) -> None:
    if not {"choices", "answer"} <= held.keys() or not {"question", "context"} & held.keys():
        raise ConfigError(
            f"data {data!r}: expected the columns `question`, `choices` and `answer`, found "
            f"{', '.join(held) or 'nothing'}"
        )
    for name in ("question", *PASSAGES):
        if name in held and not isinstance(held[name], str):
            raise _wrong(data, f"text as its {name}", held[name])
    passage = next((name for name in PASSAGES if name in held), None)
    cure = f"add its text to `{passage}`" if passage else "rename it to `context`"
    check_unread(held, READ, cure, f"data {data!r}")


def _passage(held: Mapping[str, Any], data: str) -> str | None:
    names = [name for name in PASSAGES if name in held]
    if len(names) > 1:
        raise ConfigError(
            f"data {data!r}: an item has both `{names[0]}` and `{names[1]}`; join them in one"
        )
    return held[names[0]] if names else None


def _choices(held: Mapping[str, Any], data: str, where: str) -> list[Any]:
    choices = held["choices"]
    if not isinstance(choices, list) or not all(isinstance(c, str | int | float) for c in choices):
        raise _wrong(data, "a list of texts as `choices`", choices)
    texts = list(map(text_of, choices))
    if len(texts) < 2 or len(set(texts)) < len(texts) or not all(t.strip() for t in texts):
        raise ConfigError(f"{where}: expected two or more different choices, got {texts}")
    return choices


def _prompt(passage: str | None, question: str | None) -> str:
    """As lm-eval's tasks put a question about a passage; a passage alone is continued."""
    asked = f"Question: {question}\nAnswer:" if question else None
    return "\n".join(part for part in (passage, asked) if part)


def _instruction(
    passage: str | None, question: str | None, texts: tuple[str, ...], labels: tuple[str, ...]
) -> str:
    about = f"{passage}\n\n" if passage and question else ""
    listed = " ".join(f"Answer{number}: {text}" for number, text in enumerate(texts, start=1))
    return (
        f"{about}Please choose the correct answer to the question: {question or passage}\n\n"
        f"{listed}\n\nAnswer format: {'/'.join(labels)}"
    )


def _wrong(data: str, expected: str, got: Any) -> ConfigError:
    return ConfigError(
        f"data {data!r}: an item needs {expected}, not {got!r}; mend it or leave it out"
    )
