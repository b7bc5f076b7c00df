"""Sizes of memory, as users write them."""

from __future__ import annotations

import re

from prunekit.core.errors import ConfigError

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)


def bytes_in(text: str, key: str) -> int:
    """Read a size; raise ConfigError, with the key of the setting, if it is none.

    >>> bytes_in("1.5GB", "state_memory"), bytes_in("2 MiB", "state_memory"), bytes_in("0", "")
    (1500000000, 2097152, 0)
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{key}: expected a size, as 500MB or 2GB, got {text!r}", (key,))
    number, unit, binary = found.groups()
    power = " KMGT".index(unit.upper() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)
