"""How evaluations look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out
from prunekit.core.problem import words
from prunekit.workflows.evaluation.comparison import EvaluationResult, Row


def show_evaluation(result: EvaluationResult) -> None:
    """Every protocol and task: dense, pruned, and the difference with its standard error."""
    title = f"{result.model} without blocks {words(result.removed)}"
    out.print(title if result.removed else result.model, style="bold", soft_wrap=True)
    for name, rows, digits in (
        ("perplexity", result.perplexities.values(), 2),
        ("task", result.tasks.values(), 4),
    ):
        if rows:
            out.print(_table(name, rows, digits))
    if result.remark:
        err.print(result.remark, soft_wrap=True)


def _table(name: str, rows: Iterable[Row], digits: int) -> Table:
    numbers = [Column(head, justify="right") for head in ("dense", "pruned", "difference")]
    table = Table(Column(name, overflow="fold"), *numbers, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        label = row.name if row.metric == "perplexity" else f"{row.name} ({row.metric})"
        values = (_number(value, digits) for value in (row.dense, row.pruned))
        table.add_row(label, *values, _difference(row, digits))
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _difference(row: Row, digits: int) -> str:
    if row.difference is None:
        return "-"
    if row.standard_error is None:
        return f"{row.difference:+,.{digits}f}"
    sign = "+/-" if out.options.ascii_only else "±"
    return f"{row.difference:+,.{digits}f} {sign} {row.standard_error:.{digits}f}"
