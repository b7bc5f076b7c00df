"""Which choice an item's answer means."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from prunekit.core import ConfigError


def text_of(value: Any) -> str:
    """A choice as text; what is no text reads as in JSON.

    >>> text_of("1939"), text_of(1939), text_of(1.5), text_of(True)
    ('1939', '1939', '1.5', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value)


def right_choice(answer: Any, choices: Sequence[Any], where: str) -> int:
    """The index of the choice that `answer` names by its value, or by its index from 0.

    A text names the choice that reads like it, a number also the choice of equal value. Raises
    ConfigError where it names none, and where value and index name different choices; `where` is
    the item, for the message.
    """
    found = {i for i, choice in enumerate(choices) if _is_same(answer, choice)}
    if type(answer) is int and 0 <= answer < len(choices):
        found.add(answer)
    if not found:
        raise ConfigError(
            f"{where}: the answer {answer!r} is none of its {len(choices)} choices; give the text "
            "of the right one, or its index from 0"
        )
    if len(found) > 1:
        texts = " or ".join(
            json.dumps(text_of(choices[i]), ensure_ascii=False) for i in sorted(found)
        )
        raise ConfigError(
            f"{where}: the answer {answer!r} names more than one choice, by value or by index from "
            f"0; give the right one as text: {texts}"
        )
    return found.pop()


def _is_same(answer: Any, choice: Any) -> bool:
    if isinstance(answer, str | bool):
        return text_of(answer) == text_of(choice)
    return text_of(answer) == text_of(choice) or _number(answer) == _number(choice)


def _number(value: Any) -> float:
    """NaN, which equals nothing, where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
