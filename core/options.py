"""Options of a plugin: the fields of its dataclass.

One field gives a flag `--genetic.population`, a key of the configuration file, a row of help and
a check of type and range.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from prunekit.core.errors import ConfigError, PluginError, blaming

T = TypeVar("T")
SCALARS = (bool, int, float, str, Path)
INTERNAL = "internal"
LONG = 50


def option(default: T, help: str, *, low: float | None = None, high: float | None = None) -> T:
    """Declare a dataclass field that users may set; `low` and `high` are allowed values."""
    meta = {"help": help, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=meta)


def internal(default: T) -> T:
    """Declare a dataclass field that is no option: only `dataclasses.replace` sets it.

    It has no flag and is in no file of settings, but like an option it distinguishes the journals
    of an objective, unless it has its default.
    """
    return dataclasses.field(default=default, metadata={INTERNAL: True})


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a plugin class, as flags, files and tables need it."""

    name: str
    kind: Any
    optional: bool
    default: Any
    help: str
    low: float | None
    high: float | None

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a `Literal`, else nothing."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def kind_name(self) -> str:
        """The type in words: `int`, `text`, `fast|slow`."""
        if self.choices:
            words = "|".join(self.choices)
            return words if len(words) < LONG else words.replace("|", ", ")  # which can be wrapped
        return str({str: "text", Path: "path"}.get(self.kind, self.kind.__name__))

    @property
    def range(self) -> str:
        """The allowed interval, as `1..` or `0..1`; empty without bounds."""
        if self.low is None and self.high is None:
            return ""
        return "..".join("" if x is None else f"{x:g}" for x in (self.low, self.high))


def options_of(cls: type) -> list[Option]:
    """Return the options of a plugin class, in the order written.

    Raises PluginError if a field could not be a flag: its type is none of bool, int, float,
    str, Path and Literal of strings, each also `| None`, it has no default or one that no user
    could give, its help is no text or its bounds are no numbers.
    """
    if not dataclasses.is_dataclass(cls):
        return []
    hints = get_type_hints(cls)
    fields = [f for f in dataclasses.fields(cls) if f.init and INTERNAL not in f.metadata]
    return [_read(cls, field, hints[field.name]) for field in fields]


def build(cls: type[T], given: Mapping[str, object], *where: str) -> T:
    """Make a plugin from user input. Raises ConfigError with the wrong key under `where`.

    A ValueError of its own `__post_init__` is the user's mistake too.
    """
    known = {o.name: o for o in options_of(cls)}
    values = {}
    for name, raw in given.items():
        key = (*where, name)
        if name not in known:
            raise ConfigError(f"{'.'.join(key)}: no such option.{suggest(name, known)}", key)
        values[name] = convert(known[name], raw, key)
    with blaming("plugin", cls):
        try:
            return cls(**values)
        except ValueError as error:
            raise ConfigError(f"{'.'.join(where)}: {error}", where) from error


def values_of(plugin: object) -> dict[str, Any]:
    """Return the values of a plugin's options, as plain data for files."""
    values = {o.name: getattr(plugin, o.name) for o in options_of(type(plugin))}
    return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


def internals_of(plugin: Any) -> dict[str, Any]:
    """Return the values of the fields made by `internal` that are not their defaults."""
    fields = dataclasses.fields(plugin) if dataclasses.is_dataclass(plugin) else ()
    values = {f: getattr(plugin, f.name) for f in fields if INTERNAL in f.metadata}
    return {f.name: value for f, value in values.items() if value != f.default}


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a closing sentence that offers the nearest known name, or all of them.

    >>> suggest("populaton", ["population", "elite"])
    " Did you mean 'population'?"
    """
    known = sorted(set(known))
    if near := nearest(name, known):
        return f" Did you mean {near!r}?"
    return f" Known: {', '.join(known) or 'none'}."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name spelt most like `name`, if any is close."""
    return next(iter(difflib.get_close_matches(name, sorted(set(known)), n=1)), None)


def convert(option: Option, raw: object, key: tuple[str, ...]) -> object:
    """Convert `raw`, from a flag or a file, to the option's type. Raises ConfigError."""
    if raw is None and option.optional:
        return None
    where = ".".join(key)
    try:
        value = _as_kind(option, raw)
    except (ValueError, TypeError, OverflowError):
        near = nearest(str(raw), option.choices)
        advice = f". Did you mean {near!r}?" if near else ""
        said = f"{where}: expected {option.kind_name}, got {raw!r}{advice}"
        raise ConfigError(said, key) from None
    if not _within(option, value):
        raise ConfigError(f"{where}: {value} is outside {option.range}", key)
    return value


def _as_kind(option: Option, raw: object) -> object:
    if option.choices:
        if raw not in option.choices:
            raise ValueError
        return raw
    if option.kind is bool:
        return _as_bool(raw)
    if isinstance(raw, bool) or raw is None or isinstance(raw, (list, dict)):
        raise ValueError
    if option.kind is str and not isinstance(raw, str | Path):
        raise ValueError  # a file's 0123 or 1e5 is a number, and no longer what was written
    if option.kind is int and isinstance(raw, float) and raw != int(raw):
        raise ValueError
    return option.kind(raw)


def _as_bool(raw: object) -> bool:
    words = {"true": True, "false": False}
    if str(raw).lower() not in words:
        raise ValueError
    return words[str(raw).lower()]


def _within(option: Option, value: Any) -> bool:
    # Written so that NaN, which compares false with everything, is outside every range.
    above = option.low is None or value >= option.low
    below = option.high is None or value <= option.high
    return above and below


def _read(cls: type, field: dataclasses.Field[Any], hint: Any) -> Option:
    kinds = [hint]
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [a for a in get_args(hint) if a is not type(None)]
    words = get_origin(kinds[0]) is Literal and all(isinstance(a, str) for a in get_args(kinds[0]))
    if len(kinds) != 1 or not (words or kinds[0] in SCALARS):
        raise PluginError(
            f"{cls.__qualname__}.{field.name} cannot be a flag: its type must be one of bool, int, "
            "float, str, Path or Literal, or one of these `| None`"
        )
    if field.default is dataclasses.MISSING:
        raise PluginError(f"{cls.__qualname__}.{field.name} needs a default: use option(...)")
    meta = field.metadata
    option = Option(
        name=field.name,
        kind=kinds[0],
        optional=kinds[0] is not hint,
        default=field.default,
        help=meta.get("help", ""),
        low=meta.get("low"),
        high=meta.get("high"),
    )
    _check(cls, option)
    return option


def _check(cls: type, option: Option) -> None:
    """Raise PluginError unless help and bounds are sound, and a user could give the default."""
    if not isinstance(option.help, str):
        raise PluginError(
            f"{cls.__qualname__}.{option.name} needs a help text, not {option.help!r}"
        )
    for bound in (option.low, option.high):
        if not isinstance(bound, int | float | None):
            raise PluginError(
                f"{cls.__qualname__}.{option.name}: {bound!r} is no number to compare"
            )
    try:
        convert(option, option.default, (option.name,))
    except ConfigError as error:
        raise PluginError(
            f"{cls.__qualname__} has a default that it would not take from a user: {error}"
        ) from error
