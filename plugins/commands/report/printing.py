"""Print the tables of a report in a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import out, styled
from prunekit.plugins.commands.report.table import Table as ReportTable


def show_table(table: ReportTable) -> None:
    """Print a table with a rule between its sections, the best in bold."""
    heads = [
        Column(c.words, justify="right" if c.is_number else "left", overflow="fold")
        for c in table.columns
    ]
    shown = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for section in table.sections:
        for row in section:
            shown.add_row(*(styled(e.text, "bold" if e.mark == "best" else "") for e in row))
        shown.add_section()
    out.print(table.title, style="bold", soft_wrap=True)
    out.print(shown)
