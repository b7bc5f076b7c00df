"""Format numbers and lists for sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence


def listed(words: Sequence[object]) -> str:
    """Join words as a list in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def together(*words: object) -> str:
    """Join words without a line break."""
    return "\u00a0".join(map(str, words)).replace(" ", "\u00a0")


def count(n: int, noun: str) -> str:
    """Format a number of things.

    >>> count(1, "cell"), count(1200, "cell"), count(2, "study")
    ('1 cell', '1,200 cells', '2 studies')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else many}"


def number(value: float, digits: int = 3) -> str:
    """Round a number to significant digits, without an exponent.

    >>> number(0.012345), number(1234.5), number(12.0), number(-0.0), number(float("inf"))
    ('0.0123', '1,234', '12', '0', '∞')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞"
    if not value:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """Format a share in whole percent.

    >>> percent(0.284), percent(0.004)
    ('28%', 'less than 1%')
    """
    return "less than 1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"
