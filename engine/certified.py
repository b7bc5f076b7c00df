"""What a checkpoint says of its certificate, in `prunekit.json` and on its model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERDICTS = ("kept", "cannot be told", "hurt", "lost")
"""From the best to the worst."""


@dataclass(frozen=True)
class Judged:
    """A capability of both models. Scores are from 0 to 1, higher is better."""

    name: str
    says: str
    """what the score is"""
    n: int
    unit: str
    """what was scored, that many: prompts, exercises, items, windows"""
    dense: float
    pruned: float
    low: float
    high: float
    """the ends of the 95 % interval of the difference"""
    verdict: str


@dataclass(frozen=True)
class Certified:
    """The verdicts on all capabilities."""

    beside: str
    """the model that it was compared with"""
    capabilities: tuple[Judged, ...]
    writing: Mapping[str, Any]
    """how texts were written: the options of `prunekit certify`"""
    versions: Mapping[str, str]

    @property
    def words(self) -> str:
        """Count the verdicts: `6 kept, 2 hurt, 1 lost`."""
        return counted([each.verdict for each in self.capabilities])


def counted(verdicts: list[str]) -> str:
    """Count verdicts, the best first.

    >>> counted(["lost", "kept", "kept"])
    '2 kept, 1 lost'
    """
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def check_certified(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless the numbers in a file can be those of a certificate."""
    for each in row["capabilities"]:
        name = f"certificate.{str(each['name'])[:40]}"
        if each["verdict"] not in VERDICTS:
            raise ValueError(f"{name}: a verdict cannot be {str(each['verdict'])[:40]!r}")
        if not (0 <= each["dense"] <= 1 and -1 <= each["low"] <= each["high"] <= 1):
            raise ValueError(f"{name}: scores are from 0 to 1, and intervals from -1 to 1")
