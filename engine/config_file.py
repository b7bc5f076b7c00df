"""Read a YAML file, and remember the line of each key and of each item of a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import ConfigError

if TYPE_CHECKING:
    import yaml

Lines: TypeAlias = dict[tuple[str, ...], int]
"""The line of every key, by the keys that lead to it; items of lists count as keys 0, 1, ..."""
DEEPEST, MOST = 20, 10_000
"""Levels and values of a file; aliases that repeat or contain each other make more of both."""


def read_yaml(path: Path, example: str) -> tuple[dict[str, Any], Lines]:
    """Return the mapping in a file, and its lines.

    Raises ConfigError with the file, and the line if one is wrong; `example` is a line of such a
    file, for one that has none.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(path, node, ()))
        data = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigError(_described(path, error)) from error
    except RecursionError as error:
        raise _too_large(path) from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values such as `{example}`")
    return data, lines


def _described(path: Path, error: yaml.YAMLError) -> str:
    import yaml

    if not isinstance(error, yaml.MarkedYAMLError) or not error.problem:
        return f"{path}: {error}"
    where = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else str(path)
    context = f"{error.context}, " if error.problem.startswith("but ") else ""
    return f"{where}: {context}{error.problem}"


def _too_large(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: expected at most {MOST:,} values in {DEEPEST} levels; write it without aliases"
    )


def _lines(path: Path, node: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield every key with its line. Raises ConfigError if a key or value cannot be one."""
    seen: dict[tuple[str, ...], int] = {}
    todo = [(node, above)]
    while todo:
        node, above = todo.pop()
        if len(above) > DEEPEST or len(seen) > MOST:
            raise _too_large(path)
        for key, value, line in _children(path, node):
            here = (*above, key)
            if here in seen:
                raise ConfigError(f"{path}:{line}: {key!r} is on line {seen[here]} too")
            seen[here] = line
            todo.append((value, here))
    yield from seen.items()


def _children(path: Path, node: Any) -> Iterator[tuple[str, Any, int]]:
    """Yield key, value and line of each member of a mapping or list."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise ConfigError(f"{path}:{line}: expected a word as key, got {key.value!r}")
            _check_value(path, key)
            yield str(key.value), value, line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield str(index), value, value.start_mark.line + 1
    elif node is not None:
        _check_value(path, node)


def _check_value(path: Path, node: yaml.ScalarNode) -> None:
    """Raise ConfigError for a value that is not what its form or its tag says: 2001-99-99."""
    import yaml

    try:
        yaml.SafeLoader("").construct_object(node)
        node.value.encode()  # half of a character is none
    except (ValueError, ArithmeticError, LookupError, AttributeError) as error:
        line, text = node.start_mark.line + 1, node.value[:40]
        raise ConfigError(f"{path}:{line}: {text!r} cannot be read ({error}); quote it") from error
