"""What a study wants of every variant: the key `evaluate` of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.workflows.evaluation.evaluator import Wanted, preflight
from prunekit.workflows.evaluation.protocols import protocols_of
from prunekit.workflows.evaluation.wanted import names_of

KEY = "evaluate"
FIELDS = {"ppl" if f.name == "perplexities" else f.name: f.name for f in fields(Wanted)}
"""Words of the file, and what they are called in `Wanted`."""


def parse_wanted(given: Any) -> Wanted:
    """The evaluation that a file asks for, of nothing where it does not say.

    Tasks are looked for when the study begins.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"{KEY}: expected keys such as {{ppl: [demo]}}, got {given!r}", (KEY,))
    wanted = Wanted()
    for word, value in given.items():
        if word not in FIELDS:
            raise ConfigError(f"{KEY}.{word}: no such key.{suggest(word, FIELDS)}", (KEY, word))
        with _at(word):
            wanted = replace(wanted, **{FIELDS[word]: _value(word, value)})
    with _at("ppl"):
        protocols_of(wanted)
    return wanted


def words_of(wanted: Wanted) -> dict[str, Any]:
    """The same in the words of a file."""
    values = {word: asdict(wanted)[name] for word, name in FIELDS.items()}
    return {word: _plain(value) for word, value in values.items()}


def is_anything(wanted: Wanted) -> bool:
    """Whether there is something to evaluate."""
    return bool(wanted.perplexities or wanted.tasks)


def check_data(wanted: Wanted) -> None:
    """ConfigError naming the texts and tasks that cannot be had, before any time is spent."""
    with _at("ppl"):
        preflight(replace(wanted, tasks=()))
    with _at("tasks"):
        preflight(replace(wanted, perplexities=()))


def _value(word: str, value: Any) -> Any:
    if word in ("ppl", "tasks"):
        return names_of(value) if isinstance(value, (str, list)) else _refused(word, value)
    if word == "include_path" and value is not None:
        return Path(str(value)).expanduser()
    return value


def _refused(word: str, value: Any) -> Any:
    raise ConfigError(f"{KEY}.{word}: expected a list of names, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


@contextmanager
def _at(word: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error), (KEY, word)) from error
