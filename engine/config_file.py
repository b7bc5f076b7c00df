"""Read a YAML file and remember on which line each key and each item of a list stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from prunekit.core.errors import ConfigError

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
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        if problem.startswith("but "):
            problem = f"{getattr(error, 'context', None)}, {problem}"
        raise ConfigError(f"{where}: {problem}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values such as `{example}`")
    return data, _lines(path, node, ())


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
