"""What the labels of a study's folder stand for, so that different things never share one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.engine.files import write_text
from prunekit.engine.stored import read_stored
from prunekit.plugins.commands.study.config import KINDS, StudyConfig
from prunekit.plugins.commands.study.files import AGAIN

FILE = "labels.json"
HOW_ONLY = ("device", "tokens_per_forward", "trust_remote_code", "config")
"""Changes how a number is come by, not the number; in 16 bits `check_origin` looks after
`tokens_per_forward`."""


def agree(folder: Path, config: StudyConfig) -> None:
    """Add the study's labels to those of its folder.

    ConfigError where one of them, also of one that is planned no longer, stood for something else.
    """
    path = folder / FILE
    now = _meanings(config)
    before = read_stored(path, None, tuple(now), AGAIN) if path.is_file() else {}
    for kind, meanings in now.items():
        if not isinstance(before.get(kind, {}), dict):
            raise ConfigError(f"{path}: {kind}: expected labels with options; {AGAIN}")
        for label, meaning in meanings.items():
            if (old := before.get(kind, {}).get(label, meaning)) != meaning:
                raise ConfigError(
                    f"{folder} was begun with {_other(kind, label)} ({_changes(old, meaning)}); "
                    "choose another `name` or label, or remove that folder"
                )
    merged = {kind: {**before.get(kind, {}), **now[kind]} for kind in now}
    write_text(path, json.dumps(merged, indent=1) + "\n")


def _meanings(config: StudyConfig) -> dict[str, dict[str, Any]]:
    meanings = {kind: {d.label: _what(d.resolved) for d in getattr(config, kind)} for kind in KINDS}
    settings = {key: config.shared[key] for key in ("protect_first", "protect_last", "dtype")}
    for key in ("protect", "keep_pattern"):
        if config.shared[key]:  # named only then, as studies begun before know no such key
            settings[key] = config.shared[key]
    return {**meanings, "all": {"settings": settings}}


def _what(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resolved.items() if key not in HOW_ONLY}


def _other(kind: str, label: str) -> str:
    return "other settings" if kind == "all" else f"another {kind.removesuffix('s')} {label!r}"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} was {a}, is {b}" for key, a, b in _differences(old, new))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key, "not given"), new.get(key, "not given")
        if isinstance(a, dict) and isinstance(b, dict):
            yield from ((f"{key}.{inner}", x, y) for inner, x, y in _differences(a, b))
        elif a != b:
            yield key, a, b
