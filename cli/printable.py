"""Text from outside, fit for a terminal.

A name, a file or a plugin may hold characters that a terminal obeys: escape sequences, a carriage
return that hides what precedes it, or an override of the direction in which it is read.
"""

from __future__ import annotations

import re

OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, ESC, CR and line feed among them
    "\u2028\u2029"  # line separators
    "\u202a-\u202e\u2066-\u2069"  # directions; the marks that scripts from right to left need stay
    "\ud800-\udfff]"  # bytes of a file name that are not UTF-8, which cannot be printed at all
)


def printable(text: str) -> str:
    r"""The text in one line, with what a terminal would obey written as Python writes it.

    Line feeds at its end stay: they are the caller's.

    >>> print(printable("a\x1b[31m\nb\n"), end="")
    a\x1b[31m\nb
    """
    body = text.rstrip("\n")
    return OBEYED.sub(_escaped, body) + text[len(body) :]


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
