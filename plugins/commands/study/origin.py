"""Keep a study to what it was begun with: labels, weights, speeds and threads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from prunekit.core.errors import CheckpointError, ConfigError
from prunekit.core.spec import ModelFacts
from prunekit.engine.cost import Speed
from prunekit.engine.files import write_text
from prunekit.engine.plain import cut
from prunekit.engine.rounding import depends_on_layout, depends_on_threads
from prunekit.engine.stored import check_counts, check_fields, read_stored
from prunekit.engine.study_folder import AGAIN, slug
from prunekit.plugins.commands.study.calibration import CALIBRATION

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.config import StudyConfig
    from prunekit.plugins.commands.study.definitions import Definition

LIBRARIES = ("torch", "transformers")


@dataclass(frozen=True)
class Origin:
    """A model as it was when its first cell was searched."""

    model: str
    n_blocks: int
    parameters: int
    fingerprint: Mapping[str, str]


def check_origin(folder: Path, model: str, facts: ModelFacts, tokens_per_forward: int) -> None:
    """Note which model this is. Raises CheckpointError if the study began with another.

    Newer libraries may go on with a study, other weights, dtypes and devices may not. Nor may in
    16 bits another `tokens_per_forward`, since batches change a loss there.
    """
    path = folder / "models" / f"{slug(model)}.json"
    now = dict(facts.fingerprint)
    if depends_on_layout(now):
        now["tokens_per_forward"] = str(tokens_per_forward)
    origin = Origin(model, facts.n_blocks, facts.parameters, now)
    if not path.is_file():
        write_text(path, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
        return
    before = read_stored(path, None, {"fingerprint": Mapping[str, str]}, AGAIN)["fingerprint"]
    changed = [
        f"{name} was {before.get(name, 'not noted')}, is {value}"
        for name, value in now.items()
        if name not in LIBRARIES and before.get(name) != value
    ]
    if changed:
        raise CheckpointError(
            f"{model}: not as it was when this study began ({'; '.join(changed)}); give the study "
            f"another name, or remove {folder}"
        )


def speed_of(folder: Path, group: str, measure: Callable[[], Speed]) -> Speed:
    """Return the speed of a group, measured once."""
    path = folder / "speeds" / f"{group}.json"
    if path.is_file():
        hints = get_type_hints(Speed)
        kept = read_stored(path, None, hints, AGAIN, lambda row: check_counts(row, *hints))
        return Speed(kept["block"], kept["subset"])
    speed = measure()
    write_text(path, json.dumps(dataclasses.asdict(speed)) + "\n")
    return speed


LABELS = "labels.json"
MEANINGS = Mapping[str, Mapping[str, Any]]
HOW_ONLY = ("device", "tokens_per_forward", "trust_remote_code", "config")
"""Settings that change no number; in 16 bits `check_origin` checks `tokens_per_forward`."""


def agree(folder: Path, config: StudyConfig) -> None:
    """Add the study's labels to those of its folder.

    Raises ConfigError if one of them had another meaning, even if it is no longer planned.
    """
    path = folder / LABELS
    now = _meanings(config)
    before = _meanings_before(path, now) if path.is_file() else {}
    defaults = {d.label: _defaults(d) for d in config.searchers}
    for kind, meanings in now.items():
        for label, meaning in meanings.items():
            added = defaults[label] if kind == "searchers" else {}
            known = before.get(kind, {}).get(label, meaning)
            old = {**known, **{name: x for name, x in added.items() if name not in known}}
            if old != meaning:
                raise ConfigError(
                    f"{folder} was begun with {_other(kind, label)} ({_changes(old, meaning)}); "
                    "choose another `name` or label, or remove that folder"
                )
    merged = {kind: {**before.get(kind, {}), **now[kind]} for kind in now}
    write_text(path, json.dumps(merged, indent=1) + "\n")


def _meanings_before(path: Path, kinds: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read the meanings of all labels. Studies of version 0.2 have none of calibrations."""
    hints = dict.fromkeys(kinds, MEANINGS)
    later = {CALIBRATION: hints.pop(CALIBRATION)}
    return read_stored(
        path,
        None,
        hints,
        AGAIN,
        lambda row: check_fields(row, later if CALIBRATION in row else {}),
    )


def _meanings(config: StudyConfig) -> dict[str, dict[str, Any]]:
    found = config.by_kind.items()
    meanings = {kind: {d.label: _what(d.resolved) for d in those} for kind, those in found}
    settings = {key: config.shared[key] for key in ("protect_first", "protect_last", "dtype")}
    for key in ("protect", "keep_pattern"):
        if config.shared[key]:  # named only then, as studies begun before know no such key
            settings[key] = config.shared[key]
    return {**meanings, "all": {"settings": settings}}


def _defaults(searcher: Definition) -> dict[str, Any]:
    """Return the options left at their defaults, under which one added later changes nothing."""
    given = searcher.given.get(searcher.given["searcher"], {})
    return {k: v for k, v in _what(searcher.resolved).items() if k not in {"searcher", *given}}


def _what(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resolved.items() if key not in HOW_ONLY}


def _other(kind: str, label: str) -> str:
    return "other settings" if kind == "all" else f"another {kind.removesuffix('s')} {label!r}"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} was {cut(str(a))}, is {cut(str(b))}" for key, a, b in _differences(old, new)
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key, "not given"), new.get(key, "not given")
        if isinstance(a, dict) and isinstance(b, dict):
            yield from ((f"{key}.{inner}", x, y) for inner, x, y in _differences(a, b))
        elif a != b:
            yield key, a, b


THREADS = "threads.json"


def note_threads(folder: Path, jobs: int) -> None:
    """Keep how many threads each of `jobs` processes has, unless an earlier run did."""
    import torch

    if not (folder / THREADS).is_file():
        threads = max(1, torch.get_num_threads() // jobs)
        write_text(folder / THREADS, json.dumps({"threads": threads}) + "\n")


@contextmanager
def threads_of_first_run(folder: Path) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Compute with the threads that were kept, or with those of this process if none were.

    Yields a function to call with the fingerprint of the loaded model: if threads change no
    loss, it gives the process its own number back.
    """
    import torch

    own = torch.get_num_threads()
    if (path := folder / THREADS).is_file():
        kept = read_stored(path, None, {"threads": int}, AGAIN, _check_threads)
        torch.set_num_threads(kept["threads"])
    try:
        yield lambda facts: None if depends_on_threads(facts) else torch.set_num_threads(own)
    finally:
        torch.set_num_threads(own)


def _check_threads(kept: Mapping[str, int]) -> None:
    if kept["threads"] < 1:
        raise ValueError(f"threads must be 1 or more, not {kept['threads']}")
