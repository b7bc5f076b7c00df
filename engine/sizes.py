"""Sizes of memory and numbers of parameters, as users write and read them."""

from __future__ import annotations

import math
import re

from prunekit.core.errors import ConfigError

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)
COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", re.ASCII | re.IGNORECASE)


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


def count_in(text: str, key: str) -> int:
    """Read a number of parameters; raise ConfigError, with the key of the setting, if it is none.

    >>> count_in("110M", "max_parameters"), count_in("1.5 b", "max_parameters"), count_in("7", "")
    (110000000, 1500000000, 7)
    """
    found = COUNT.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{key}: expected a number, as 110M or 1.5B, got {text!r}", (key,))
    number, unit = found.groups()
    return int(float(number) * 1000 ** " KMBT".index(unit.upper() or " "))


def short_count(count: int, up: bool = False) -> str:
    """Write a number of parameters shortly, rounded, or `up` to a number that is no smaller.

    >>> short_count(134_515_008), short_count(406_464), short_count(999), short_count(12_000_000)
    ('134.5M', '406.5K', '999', '12M')
    >>> short_count(134_515_008, up=True), short_count(999_970)
    ('134.6M', '1M')
    """
    return "".join(_short(count, ("", "K", "M", "B", "T"), up))


def short_bytes(count: int, up: bool = False) -> str:
    """Write a size shortly, rounded, or `up` to a size that is no smaller.

    >>> short_bytes(49_560_000), short_bytes(812), short_bytes(269_030_016, up=True)
    ('49.6 MB', '812 B', '269.1 MB')
    """
    return " ".join(_short(count, ("B", "KB", "MB", "GB", "TB"), up))


def _short(count: int, units: tuple[str, ...], up: bool) -> tuple[str, str]:
    rounded = math.ceil if up else round
    power = 0
    while rounded(10 * count / 1000**power) >= 10_000 and power < len(units) - 1:
        power += 1
    return f"{rounded(10 * count / 1000**power) / 10:,g}", units[power]
