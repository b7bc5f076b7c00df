"""Read items from rows of question, passage, choices and answer."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import columns_in, is_missing
from prunekit.plugins.objectives.item import PASSAGES, Item, blank_in, check_unread

READ = frozenset(("question", *PASSAGES, "choices", "answer"))


def item_of_columns(row: Mapping[str, Any], blank: str, place: str) -> Item:
    """Read the item of a row with `question`, a passage or both, `choices` and `answer`.

    Empty columns count as missing. Raises ConfigError if the row is no such item or has text in a
    column that is not read; `place` names the row in the message.
    """
    held = {name: value for name, value in row.items() if not is_missing(value)}
    _check_columns(held, place)
    question, passage = held.get("question"), _passage(held, place)
    stem: str = question or passage or ""
    where = f"{place}, item {stem[:40]!r}"
    choices = _choices(held, place, where)
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


def _check_columns(held: Mapping[str, Any], place: str) -> None:
    if not {"choices", "answer"} <= held.keys() or not {"question", "context"} & held.keys():
        raise ConfigError(
            f"{place}: expected the columns `question`, `choices` and `answer`, found "
            f"{columns_in(held)}; the option `columns` names others"
        )
    for name in ("question", *PASSAGES):
        if name in held and not isinstance(held[name], str):
            raise _wrong(place, f"text as its {name}", held[name])
    passage = next((name for name in PASSAGES if name in held), None)
    cure = f"add its text to `{passage}`" if passage else "rename it to `context`"
    check_unread(held, READ, cure, place)


def _passage(held: Mapping[str, Any], place: str) -> str | None:
    names = [name for name in PASSAGES if name in held]
    if len(names) > 1:
        raise ConfigError(
            f"{place}: an item has both `{names[0]}` and `{names[1]}`; join them in one"
        )
    return held[names[0]] if names else None


def _choices(held: Mapping[str, Any], place: str, where: str) -> list[Any]:
    choices = held["choices"]
    if not isinstance(choices, list) or not all(
        isinstance(c, str | int | float) and c == c for c in choices
    ):
        raise _wrong(place, "a list of texts as `choices`", choices)
    texts = list(map(text_of, choices))
    if len(texts) < 2 or len(set(texts)) < len(texts) or not all(t.strip() for t in texts):
        raise ConfigError(
            f"{where}: expected two or more different choices, got {reprlib.repr(texts)}"
        )
    return choices


def _prompt(passage: str | None, question: str | None) -> str:
    """Put a question about a passage as lm-eval does; a passage alone is continued."""
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


def _wrong(place: str, expected: str, got: Any) -> ConfigError:
    return ConfigError(
        f"{place}: an item needs {expected}, not {reprlib.repr(got)}; fix the row or drop it"
    )


def text_of(value: Any) -> str:
    """Return a choice as text; other values are written as in JSON.

    >>> text_of("1939"), text_of(1939), text_of(1.5), text_of(True)
    ('1939', '1939', '1.5', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value)


def right_choice(answer: Any, choices: Sequence[Any], where: str) -> int:
    """Return the index of the choice that `answer` names by its value, or by its index from 0.

    A text names the choice with the same text, a number also the choice of equal value. Raises
    ConfigError if it names no choice, or if value and index name different ones; `where` names the
    item in the message.
    """
    found = {i for i, choice in enumerate(choices) if _is_same(answer, choice)}
    if type(answer) is int and 0 <= answer < len(choices):
        found.add(answer)
    if not found:
        raise ConfigError(
            f"{where}: the answer {reprlib.repr(answer)} is not one of its {len(choices)} choices; "
            "give the text of the right one, or its index from 0"
        )
    if len(found) > 1:
        texts = " or ".join(
            json.dumps(text_of(choices[i]), ensure_ascii=False) for i in sorted(found)
        )
        raise ConfigError(
            f"{where}: the answer {reprlib.repr(answer)} names more than one choice, by value or "
            f"by index from 0; give the right one as text: {texts}"
        )
    return found.pop()


def _is_same(answer: Any, choice: Any) -> bool:
    if isinstance(answer, str | bool):
        return text_of(answer) == text_of(choice)
    return text_of(answer) == text_of(choice) or _number(answer) == _number(choice)


def _number(value: Any) -> float:
    """Return the value as a number, or NaN, which equals nothing."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
