"""Numbers that users list: `2,4,8`, `1-8`, or both."""

from __future__ import annotations

import re

from prunekit.core.errors import ConfigError

PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


def numbers_in(text: str, name: str) -> list[int]:
    """Return the numbers, in order and each once, of an option called `name`.

    Raises ConfigError if there are none, one is 0, or the text says something else.

    >>> numbers_in("1-3, 8,2", "lookahead")
    [1, 2, 3, 8]
    """
    found: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part.strip())
        if match is None:
            raise _wrong(text, name)
        first = int(match[1])
        last = int(match[2] or first)
        if not 1 <= first <= last:
            raise _wrong(text, name)
        found.update(range(first, last + 1))
    return sorted(found)


def _wrong(text: str, name: str) -> ConfigError:
    return ConfigError(f"{name}: expected numbers from 1, as 2,4,8 or 1-8, got {text!r}", (name,))
