"""Read a YAML file and remember on which line each key and each item of a list stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import ConfigError

if TYPE_CHECKING:
    import yaml

Lines: TypeAlias = dict[tuple[str, ...], int]
"""The line of every key, by the keys that lead to it; items of lists count as keys 0, 1, ..."""


def read_yaml(path: Path, example: str) -> tuple[dict[str, Any], Lines]:
    """The mapping in a file; ConfigError names the file, and the line where YAML is broken.

    `example` is a line of such a file, for one that has none.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigError(_described(path, error)) from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values such as `{example}`")
    return data, _lines(path, node, ())


def _described(path: Path, error: yaml.YAMLError) -> str:
    import yaml

    if not isinstance(error, yaml.MarkedYAMLError) or not error.problem:
        return f"{path}: {error}"
    where = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else str(path)
    context = f"{error.context}, " if error.problem.startswith("but ") else ""
    return f"{where}: {context}{error.problem}"


def _lines(path: Path, node: Any, above: tuple[str, ...]) -> Lines:
    import yaml

    lines: Lines = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here, line = (*above, str(key.value)), key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise ConfigError(f"{path}:{line}: expected a word as key, got {key.value!r}")
            if here in lines:
                raise ConfigError(f"{path}:{line}: {key.value!r} stands on line {lines[here]} too")
            lines[here] = line
            lines |= _lines(path, value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*above, str(index))
            lines[here] = value.start_mark.line + 1
            lines |= _lines(path, value, here)
    return lines
