"""What counts as kept and as lost, and which verdicts pass: defaults, and a file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.engine.certified import VERDICTS
from prunekit.engine.config_file import Lines, read_yaml

KEPT, UNCLEAR, HURT, LOST = VERDICTS
ALL = "all"
"""The key of what holds for every capability that has no key of its own."""
EXAMPLE = "copying: {require: hurt}"


@dataclass(frozen=True)
class Threshold:
    """The bounds of one capability, whose scores are from 0 to 1."""

    kept: float = 0.1
    """a loss up to this much still counts as kept"""
    lost: float = 0.5
    """a capability is lost if this share of the dense model's score, above chance, is gone"""
    require: str = LOST
    """the worst verdict that passes"""


def read_thresholds(path: Path | None, kinds: Mapping[str, str]) -> dict[str, Threshold]:
    """Return the bounds of capabilities; `kinds` gives the key from which each takes the others.

    Raises ConfigError with file and line for a name or a value that cannot be one.
    """
    data, lines = read_yaml(path, EXAMPLE) if path else ({}, {})
    found = {ALL: Threshold()}
    for name, value in data.items():
        if name not in (known := [ALL, *kinds]):
            raise _wrong(path, lines, (name,), f"no such capability.{suggest(name, known)}")
        _check(path, lines, name, value)
    for name, kind in {ALL: ALL, **kinds}.items():
        found[name] = replace(found[kind], **data.get(name, {}))
    return found


def _check(path: Path | None, lines: Lines, name: str, given: Any) -> None:
    if not isinstance(given, dict):
        raise _wrong(path, lines, (name,), f"expected keys such as `{EXAMPLE}`, got {given!r}")
    known = [field.name for field in fields(Threshold)]
    for key, value in given.items():
        if key not in known:
            raise _wrong(path, lines, (name, key), f"no such key.{suggest(key, known)}")
        if key == "require" and value not in VERDICTS:
            expected = ", ".join(VERDICTS)
            raise _wrong(path, lines, (name, key), f"expected one of {expected}; got {value!r}")
        if key != "require" and not (type(value) in (int, float) and 0 < value <= 1):
            reason = f"expected a number above 0, at most 1; got {value!r}"
            raise _wrong(path, lines, (name, key), reason)


def _wrong(path: Path | None, lines: Lines, keys: tuple[str, ...], reason: str) -> ConfigError:
    return ConfigError(f"{path}:{lines[keys]}: {'.'.join(keys)}: {reason}")


def passes(verdict: str, require: str) -> bool:
    """Return whether a verdict is no worse than the worst that is allowed.

    >>> passes("kept", "cannot be told"), passes("hurt", "cannot be told")
    (True, False)
    """
    return VERDICTS.index(verdict) <= VERDICTS.index(require)
