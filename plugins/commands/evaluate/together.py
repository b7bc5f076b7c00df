"""Print several models that were made from one: pruned, repaired, healed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Column, Table

from prunekit.plugins.commands.evaluate.comparison import EvaluationResult, Row
from prunekit.plugins.commands.evaluate.printing import difference_text, label_of, number_text


def together_table(result: EvaluationResult) -> Table:
    """Return a table with a line for each model under each protocol and on each task."""
    heads = ["model", "score", "difference"]
    columns = [Column(head, justify="right", no_wrap=True) for head in heads[1:]]
    first = [Column("", overflow="fold"), Column(heads[0], overflow="fold")]
    table = Table(*first, *columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for kind in ("perplexities", "tasks"):
        for name in vars(result)[kind]:
            for line in _lines([vars(each)[kind][name] for each in (result, *result.also)], result):
                table.add_row(*line)
            table.add_section()
    return table


def _lines(rows: Sequence[Row], result: EvaluationResult) -> Iterator[tuple[str, str, str, str]]:
    """Yield the dense model, then the others, each with its difference from it."""
    digits = 4 if rows[0].higher_is_better else 2
    dense = "baseline" if result.baseline else "dense"
    yield label_of(rows[0]), dense, number_text(rows[0], "dense", digits), ""
    for each, row in zip((result, *result.also), rows, strict=True):
        yield "", each.name, number_text(row, "pruned", digits), difference_text(row, digits)
