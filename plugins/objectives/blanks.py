"""The blank in a sentence, which a choice fills."""

from __future__ import annotations

import re

from prunekit.core import ConfigError

AUTO, NONE = "auto", "none"
UNDERSCORES = re.compile(r"_+")
ALONE = re.compile(r"(?<!\S)_+(?=[\s.,;:!?'’]|$)")


Span = tuple[int, int]
"""Where in a sentence a blank begins, and where what follows it does."""


def blank_in(sentence: str, how: str, where: str) -> Span | None:
    """The part of `sentence` that a choice replaces; None where choices continue it.

    With `auto` it is the only run of underscores that is a word of its own, whatever underscores
    other words have; with `none` there is no blank; any other `how` is the text itself. Raises
    ConfigError where that text occurs twice; `where` is the item, for the message.

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
    """The first run of underscores that is a word of its own, else the first of all."""
    found = ALONE.search(sentence) or UNDERSCORES.search(sentence)
    return found.span() if found else None
