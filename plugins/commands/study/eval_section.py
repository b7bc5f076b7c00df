"""The key `evaluate` of a study's file: the evaluation of its dense models and choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import build, suggest
from prunekit.engine.study_folder import EVALUATE as KEY
from prunekit.plugins.commands.evaluate.config import EvalConfig, EvalOptions, names_of
from prunekit.plugins.commands.evaluate.tasks import check_names, preflight
from prunekit.plugins.commands.evaluate.texts import check_documents, protocols_of

FIELDS = {"ppl" if f.name == "perplexities" else f.name: f.name for f in fields(EvalConfig)}
"""Keys of the file, and their names in `EvalConfig`."""


def parse_evaluation(given: Any) -> EvalConfig:
    """Check the section `evaluate`, which may be empty; tasks are found when the study begins."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{KEY}: expected keys such as {{ppl: [demo]}}, got {given!r}", (KEY,))
    wanted = EvalConfig()
    for word, value in given.items():
        if word not in FIELDS:
            raise ConfigError(f"{KEY}.{word}: no such key.{suggest(word, FIELDS)}", (KEY, word))
        with _at(word):
            wanted = replace(wanted, **{FIELDS[word]: _value(word, value)})
    _check_each(wanted, "ppl", protocols_of)
    return wanted


def identity(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that identify an evaluation.

    The batch size changes speed only; settings of version 0.2 are not in older files.
    """
    unset = (word for word in ("apply_chat_template", "ppl_column") if not words.get(word))
    ignored = ("batch_size", *unset)
    return {word: value for word, value in words.items() if word not in ignored}


def words_of(wanted: EvalConfig) -> dict[str, Any]:
    """Return the section `evaluate` of a configuration."""
    values = {word: asdict(wanted)[name] for word, name in FIELDS.items()}
    return {word: _plain(value) for word, value in values.items()}


def is_anything(wanted: EvalConfig) -> bool:
    """Return whether there is something to evaluate."""
    return bool(wanted.perplexities or wanted.tasks)


def check_data(wanted: EvalConfig) -> None:
    """Raise ConfigError naming the texts and tasks that cannot be read."""
    _check_each(replace(wanted, tasks=()), "ppl", preflight)
    _check_each(replace(wanted, perplexities=()), "tasks", preflight)


def check_at_hand(wanted: EvalConfig) -> None:
    """Check local files and the names of tasks only, without using a network."""
    _check_each(replace(wanted, tasks=()), "ppl", _check_files)
    _check_each(replace(wanted, perplexities=()), "tasks", check_names)


def _check_files(wanted: EvalConfig) -> None:
    for protocol in protocols_of(wanted):
        if protocol.split is None:
            check_documents(protocol)


def _check_each(wanted: EvalConfig, word: str, check: Callable[[EvalConfig], object]) -> None:
    """Check all names of a list at once and, if that fails, find the first that is wrong."""
    with _at(word):
        try:
            check(wanted)
        except ConfigError:
            for index, name in enumerate(vars(wanted)[FIELDS[word]]):
                alone: dict[str, Any] = {FIELDS[word]: (name,)}
                with _at(word, str(index)):
                    check(replace(wanted, **alone))
            raise


def _value(word: str, value: Any) -> Any:
    if word in ("ppl", "tasks"):
        return _names(word, value)
    read = vars(build(EvalOptions, {word: value}, KEY))[word]
    return _folder(read) if word == "include_path" and read is not None else read


def _folder(value: Path) -> Path:
    folder = value.expanduser()
    if not folder.is_dir():
        raise ConfigError(f"no folder {value}; name one with task files", ("include_path",))
    return folder


def _names(word: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (str, list)):
        raise ConfigError(f"expected a list of names, got {value!r}", (word,))
    return names_of(value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


@contextmanager
def _at(*keys: str) -> Iterator[None]:
    """Name the setting that an error is about, and add its place in the file."""
    try:
        yield
    except ConfigError as error:
        if error.key[:1] == (KEY,):
            raise
        where = (KEY, *(error.key or keys))
        named = f"{'.'.join(where)}: {error}" if error.key else str(error)
        raise ConfigError(named, where) from error
