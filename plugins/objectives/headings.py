"""Items of files whose columns have other names, or hold text only, as in a .csv file."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import Row, columns_in, is_missing
from prunekit.plugins.objectives.columns import text_of
from prunekit.plugins.objectives.item import PASSAGES

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
NAMED = ("question", *PASSAGES, "choices", "answer")


def parse_columns(text: str | None, objective: str) -> dict[str, list[str]]:
    """Return the columns of a file that hold `question`, `choices` and so on.

    Choices may be in several columns. Raises ConfigError if the option cannot be parsed.

    >>> parse_columns("question=query, choices=a+b, answer=gold", "margin")
    {'question': ['query'], 'choices': ['a', 'b'], 'answer': ['gold']}
    """
    found: dict[str, list[str]] = {}
    for part in text.split(",") if text else ():
        name, _, columns = (word.strip() for word in part.partition("="))
        listed = (
            [column.strip() for column in columns.split("+")] if name == "choices" else [columns]
        )
        if name not in NAMED or name in found or not all(listed):
            raise ConfigError(
                f"{objective}.columns: expected {', '.join(NAMED)}, each at most once, as in "
                f"question=query,choices=options,answer=gold, got {text!r}",
                (objective, "columns"),
            )
        found[name] = listed
    return found


def renamed(row: Row, names: Mapping[str, list[str]], where: str) -> Row:
    """Return the row under the names that items have. Raises ConfigError if a column is missing."""
    if not names:
        return row
    taken = [column for columns in names.values() for column in columns]
    for column in taken:
        if column not in row:
            raise ConfigError(
                f"{where}: no column `{column}` as named by `columns`, found {columns_in(row)}"
            )
    rest = {name: value for name, value in row.items() if name not in taken}
    for name in names:
        if not is_missing(rest.get(name)):
            raise ConfigError(
                f"{where}: `columns` names another column for `{name}`, but there is one of that "
                "name; drop one of both"
            )
    moved = {name: _joined(row, columns) for name, columns in names.items()}
    return Row({**rest, **moved}, row.place)


def _joined(row: Mapping[str, Any], columns: list[str]) -> Any:
    """Return the value of one column, or the list of those of several that are not empty."""
    if len(columns) == 1:
        return row[columns[0]]
    return [row[column] for column in columns if not is_missing(row[column])]


def cells_of(row: Row, where: str) -> Row:
    """Return a row of a table with its text read as lists and numbers where items have them.

    `choices` is a list as in JSON or Python. `answer` is a number if it is no choice by its text;
    so are values of columns that no item reads. Raises ConfigError if `choices` is no list.
    """
    cells = {name: value if name in NAMED else _number(value) for name, value in row.items()}
    choices = cells.get("choices")
    if isinstance(choices, str) and choices.strip():
        cells["choices"] = choices = _list(choices, where)
    if isinstance(choices, list) and cells.get("answer") not in list(map(text_of, choices)):
        cells["answer"] = _number(cells.get("answer"))
    return Row(cells, row.place)


def _list(text: str, where: str) -> list[Any]:
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return value
    raise ConfigError(
        f'{where}: expected a list as `choices`, such as ["yes", "no"], got {text[:60]!r}; fix '
        "the row, or name several columns: choices=a+b"
    )


def _number(value: Any) -> Any:
    """Return a cell as a number if it is written as one.

    >>> _number("12"), _number("-1.5e3"), _number("nan"), _number("1_000")
    (12, -1500.0, 'nan', '1_000')
    """
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        return value
    return int(value) if value.lstrip("+-").isdigit() and len(value) < 4000 else float(value)
