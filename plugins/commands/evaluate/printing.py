"""Print evaluations in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out
from prunekit.core.problem import words
from prunekit.engine.paired import apart
from prunekit.engine.verdict import Verdict
from prunekit.plugins.commands.evaluate.comparison import (
    MEAN,
    Continuation,
    EvaluationResult,
    Row,
    cannot_be_told_apart,
)

LONGEST_PROMPT = 240
"""Characters of a prompt that are shown; JSON has all of them."""


def show_evaluation(result: EvaluationResult, quiet: bool = False) -> None:
    """Print every protocol and task: dense, pruned, and the difference with its error."""
    without = f" without blocks {words(result.removed)}" if result.removed else ""
    beside = f" beside {result.baseline}" if result.baseline else ""
    then = f", {result.afterwards}" if result.afterwards else ""
    out.print(f"{result.model}{without}{then}{beside}", style="bold", soft_wrap=True)
    tasks = list(result.tasks.values())
    mean = result.mean_accuracy()
    if mean and len(tasks) > 1:
        tasks.append(mean)
    names = {"dense": "baseline", "pruned": "model"} if result.baseline else {}
    if result.perplexities or tasks:
        out.print(evaluation_table([*result.perplexities.values(), *tasks], names))
    for name, said in result.verdicts.items():
        if said:
            show_verdict(said, f"{name} ")
    if alike := alike_rows([*result.perplexities.values(), *tasks]):
        out.print(alike)
    for continuation in result.continuations:
        show_continuation(continuation, names)
    if result.remark and not quiet:
        err.print(result.remark, soft_wrap=True)


def show_continuation(
    continuation: Continuation, names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print a prompt, and under it what the models write, side by side."""
    texts = {"dense": continuation.dense, "pruned": continuation.pruned}
    written = {names.get(who, who): text for who, text in texts.items() if text is not None}
    out.print()
    out.print(f"> {_shortened(continuation.prompt)}")
    columns = [Column(who, overflow="fold", ratio=1) for who in written]
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_row(*(" ".join(text.split()) or "(nothing)" for text in written.values()))
    out.print(table)


def _shortened(prompt: str) -> str:
    return textwrap.shorten(prompt, LONGEST_PROMPT, placeholder=" ...")


def show_verdict(verdict: Verdict, name: str = "") -> None:
    """Print what a perplexity says, after `name`, and the remark on a wide interval."""
    out.print(f"{name}{verdict.words}")
    if verdict.remark:
        out.print(f"note: {verdict.remark}", style="yellow")


def evaluation_table(rows: Sequence[Row], names: Mapping[str, str] = MappingProxyType({})) -> Table:
    """Return a table with a line per row, of both models or of the only one evaluated.

    `names` are other names for `dense` and `pruned`.
    """
    models = [who for who in ("dense", "pruned") if any(who in row.of for row in rows)]
    shown = [names.get(who, who) for who in models]
    heads = [*shown, "difference", "p"] if len(models) > 1 else shown
    columns = [Column(head, justify="right", no_wrap=True) for head in heads]
    table = Table(Column("", overflow="fold"), *columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        digits = 4 if row.higher_is_better else 2
        cells = [number_text(row, who, digits) for who in models]
        table.add_row(label_of(row), *[*cells, difference_text(row, digits), _p(row)][: len(heads)])
    return table


def alike_rows(rows: Sequence[Row]) -> str:
    """Name the rows in which the models do not differ significantly; empty if there is none.

    The mean over tasks is no further comparison: it is judged by itself.
    """
    parts = [row for row in rows if row.metric != MEAN]
    alike = cannot_be_told_apart(parts)
    for row in rows:
        known = row.metric == MEAN and row.difference is not None
        if known and row.standard_error is not None:
            alike += [] if apart(row.difference or 0.0, row.standard_error) else [row]
    n = sum(row.p is not None for row in parts)
    holm = f" (Holm, {n} comparisons)" if n > 1 else ""
    return f"Cannot be told apart at 5%{holm}: {', '.join(map(label_of, alike))}" if alike else ""


def label_of(row: Row) -> str:
    """Name what was measured."""
    return row.name if row.metric == MEAN else f"{row.name} {row.metric}"


def number_text(row: Row, who: str, digits: int) -> str:
    """Format the score of a model."""
    value = row.values[who]
    if value is None:
        return "not finite" if who in row.of else "-"
    return f"{value:,.{digits}f}"


def _p(row: Row) -> str:
    if row.p is None:
        return "-"
    return f"{row.p:.3f}" if row.p >= 0.001 else "<0.001"


def difference_text(row: Row, digits: int) -> str:
    """Format the difference of both models, with its standard error."""
    if row.difference is None:
        return "-"
    if row.standard_error is None:
        return f"{row.difference:+,.{digits}f}"
    sign = "+/-" if out.options.ascii_only else "±"
    return f"{row.difference:+,.{digits}f} {sign} {row.standard_error:.{digits}f}"
