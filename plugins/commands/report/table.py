"""A table of the report, written as Markdown, CSV and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from prunekit.engine.escaping import csv_value, latex_text, markdown_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Entry:
    """The text of a cell."""

    text: str
    mark: str = ""
    """`best` is printed in bold, `lowest loss` underlined, others as they are"""


@dataclass(frozen=True)
class Column:
    """The head of a column; adjacent columns of one group share its name above them."""

    name: str
    group: str = ""
    is_number: bool = True
    repeats: bool = False
    """LaTeX leaves out what the row above says"""

    @property
    def words(self) -> str:
        """Return the heading if there is only one line of headings."""
        return f"{self.group} {self.name}".strip()


Row = Sequence[Entry]


@dataclass(frozen=True)
class Table:
    """Rows in sections, with a rule between them."""

    title: str
    columns: Sequence[Column]
    sections: Sequence[Sequence[Row]]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Return the names above the headings, and the number of columns below each."""
        spans = [(name, len(list(of))) for name, of in groupby(c.group for c in self.columns)]
        return spans if any(name for name, _ in spans) else []


def markdown(tables: Sequence[Table]) -> str:
    """Write tables as GitHub renders them."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    heads = [markdown_text(column.words) for column in table.columns]
    rules = ["--:" if column.is_number else ":--" for column in table.columns]
    marks = {"best": "**{}**", "lowest loss": "<u>{}</u>"}
    rows = [
        [marks.get(entry.mark, "{}").format(markdown_text(entry.text)) for entry in row]
        for section in table.sections
        for row in section
    ]
    lines = [f"| {' | '.join(row)} |" for row in (heads, rules, *rows)]
    return f"**{markdown_text(table.title)}**\n\n" + "\n".join(lines) + "\n"


def latex(tables: Sequence[Table], name: str) -> str:
    """Write `table` environments, labelled `tab:NAME`, `tab:NAME-2`; they need booktabs."""
    labels = (f"tab:{name}" if n == 1 else f"tab:{name}-{n}" for n in itertools.count(1))
    return "% \\usepackage{booktabs}\n" + "\n".join(map(_latex, tables, labels))


def _latex(table: Table, label: str) -> str:
    heads = " & ".join(latex_text(column.name) for column in table.columns)
    return (
        "\\begin{table}\n\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{4pt}\n"
        f"\\caption{{{latex_text(table.title)}}}\n\\label{{{label}}}\n"
        f"\\begin{{tabular}}{{{''.join('r' if c.is_number else 'l' for c in table.columns)}}}\n"
        f"\\toprule\n{_latex_groups(table)}{heads} \\\\\n\\midrule\n"
        + "\\midrule\n".join(_latex_sections(table))
        + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _latex_sections(table: Table) -> Iterator[str]:
    marks = {"best": r"\textbf{%s}", "lowest loss": r"\underline{%s}"}
    above: list[str] = []
    for section in table.sections:
        lines = []
        for row in section:
            texts = [marks.get(entry.mark, "%s") % latex_text(entry.text) for entry in row]
            n_same = sum(1 for _ in takewhile(lambda same: same, map(str.__eq__, texts, above)))
            shown = [
                "" if i < n_same and column.repeats else text
                for i, (column, text) in enumerate(zip(table.columns, texts, strict=True))
            ]
            lines.append(" & ".join(shown) + " \\\\\n")
            above = texts
        yield "".join(lines)


def _latex_groups(table: Table) -> str:
    if not table.groups:
        return ""
    names, rules, first = [], [], 1
    for name, width in table.groups:
        names.append(f"\\multicolumn{{{width}}}{{c}}{{{latex_text(name)}}}")
        if name:
            rules.append(f"\\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return f"{' & '.join(names)} \\\\\n{' '.join(rules)}\n"


def csv_text(frame: pd.DataFrame) -> str:
    """Write one line a row, numbers in full, missing ones empty."""
    columns = [csv_value(name) for name in frame.columns]
    values = frame.set_axis(columns, axis=1).apply(lambda column: column.map(csv_value))
    return str(values.to_csv(index=False, lineterminator="\n"))
