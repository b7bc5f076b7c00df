"""Short names of what was evaluated, and the accuracy of guessing there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

CHANCES = {
    **{"hellaswag": 25.0, "arc_easy": 25.0, "arc_challenge": 25.0, "openbookqa": 25.0},
    **{"mmlu": 25.0, "race": 25.0, "sciq": 25.0, "demo": 25.0, "commonsense_qa": 20.0},
    **{"winogrande": 50.0, "piqa": 50.0, "boolq": 50.0, "copa": 50.0, "rte": 50.0, "wic": 50.0},
    **{"social_iqa": 100 / 3},
}
"""In percent, of tasks of lm-eval whose evaluation does not say how many options there are.

A few items of ARC have three or five options.
"""


def chance_of(task: str, record: Mapping[str, Any]) -> float | None:
    """Return the accuracy of guessing in percent, from the record of a task or by its name."""
    chance = record.get("chance")
    if isinstance(chance, (int, float)) and 0 <= chance <= 1:
        return 100.0 * chance
    return CHANCES.get(task)


def without_folders(names: Iterable[str]) -> dict[str, str]:
    """Return names with each path as its file name, or as the shortest end that no other has.

    >>> without_folders(["c4", "/a/new/x.txt", "/a/old/x.txt", "lambada=/b/y.txt"]).values()
    dict_values(['c4', 'new/x.txt', 'old/x.txt', 'lambada=y.txt'])
    """
    parts = {name: _parts(name) for name in names}
    return {name: _shortest(name, parts) for name in parts}


def _parts(name: str) -> tuple[str, list[str]]:
    """Split `lambada=/b/y.txt` into what precedes the path, and the parts of the path."""
    before, equals, path = name.rpartition("=") if re.match(r"\w+=", name) else ("", "", name)
    return before + equals, [part for part in re.split(r"[/\\]", path) if part]


def _shortest(name: str, parts: Mapping[str, tuple[str, list[str]]]) -> str:
    before, own = parts[name]
    others = [of for other, of in parts.items() if other != name]
    for n in range(1, len(own) + 1):
        if all((before, own[-n:]) != (start, of[-n:]) for start, of in others):
            return before + "/".join(own[-n:])
    return name
