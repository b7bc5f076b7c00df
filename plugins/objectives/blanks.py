"""The blank in a sentence, which a choice fills."""

from __future__ import annotations

import re

from prunekit.core import ConfigError

AUTO, NONE = "auto", "none"
UNDERSCORES = re.compile(r"_+")
ALONE = re.compile(r"(?<!\S)_+(?=[\s.,;:!?'’]|$)")


def blank_in(sentence: str, how: str, where: str) -> str | None:
    """The text in `sentence` that a choice replaces; None where choices continue it.

    With `auto` it is a run of underscores, the only one there, that begins a word and is all of
    it; with `none` there is no blank; any other `how` is the text itself. Raises ConfigError where
    that text occurs twice; `where` is the item, for the message.

    >>> blank_in("Ann sat on the ____.", "auto", ""), blank_in("def add_one(x):", "auto", "")
    ('____', None)
    """
    if how == NONE:
        return None
    if how == AUTO:
        runs = UNDERSCORES.findall(sentence)
        return runs[0] if len(runs) == 1 and ALONE.search(sentence) else None
    if sentence.count(how) > 1:
        raise ConfigError(
            f"{where}: the blank {how!r} occurs {sentence.count(how)} times; expected once, so "
            "that it is clear what a choice replaces"
        )
    return how if how in sentence else None


def first_run(sentence: str) -> str | None:
    """The first run of underscores, where there is one."""
    found = UNDERSCORES.search(sentence)
    return found[0] if found else None
