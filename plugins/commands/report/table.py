"""A table of the report, and its forms: Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from prunekit.engine.escaping import csv_value, latex_text, markdown_text
from prunekit.plugins.commands.report.measures import Summary


@dataclass(frozen=True)
class Entry:
    """What stands in one place of a table."""

    text: str
    mark: str = ""
    """`best` is set in bold, `lowest loss` underlined"""


@dataclass(frozen=True)
class Column:
    """How a column is headed; columns of one group stand side by side under its name."""

    name: str
    group: str = ""
    is_number: bool = True
    repeats: bool = False
    """LaTeX leaves out what stands in the row above"""

    @property
    def words(self) -> str:
        """Its name where there is one line of headings only."""
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
        """The names above the headings and how many columns each spans; empty without any."""
        spans = [(name, len(list(of))) for name, of in groupby(c.group for c in self.columns)]
        return spans if any(name for name, _ in spans) else []


def markdown(tables: Sequence[Table]) -> str:
    """Tables that GitHub shows."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    heads = [markdown_text(column.words) for column in table.columns]
    rules = ["--:" if column.is_number else ":--" for column in table.columns]
    marks = {"best": "**{}**", "lowest loss": "<u>{}</u>", "": "{}"}
    rows = [
        [marks[entry.mark].format(markdown_text(entry.text)) for entry in row]
        for section in table.sections
        for row in section
    ]
    lines = [f"| {' | '.join(row)} |" for row in (heads, rules, *rows)]
    return f"**{markdown_text(table.title)}**\n\n" + "\n".join(lines) + "\n"


def latex(tables: Sequence[Table]) -> str:
    """`table` environments; the document needs the package booktabs."""
    return "% \\usepackage{booktabs}\n" + "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    heads = " & ".join(latex_text(column.name) for column in table.columns)
    return (
        "\\begin{table}\n\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{4pt}\n"
        f"\\caption{{{latex_text(table.title)}}}\n"
        f"\\begin{{tabular}}{{{''.join('r' if c.is_number else 'l' for c in table.columns)}}}\n"
        f"\\toprule\n{_latex_groups(table)}{heads} \\\\\n\\midrule\n"
        + "\\midrule\n".join(_latex_sections(table))
        + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _latex_sections(table: Table) -> Iterator[str]:
    marks = {"best": r"\textbf{%s}", "lowest loss": r"\underline{%s}", "": "%s"}
    above: list[str] = []
    for section in table.sections:
        lines = []
        for row in section:
            texts = [marks[entry.mark] % latex_text(entry.text) for entry in row]
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


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """One line a record, numbers in full; what is not there is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(map(csv_value, names))
    writer.writerows([csv_value(row.get(name)) for name in names] for row in rows)
    return target.getvalue()


NOTHING = "–"
Value = Summary | float | None


def column(
    values: Sequence[Value],
    digits: int = 2,
    best: Callable[[Sequence[float]], float] | None = None,
    mark: str = "best",
) -> list[Entry]:
    """One column of a group; where two or more are known, those equal to the best are marked.

    >>> [entry.text for entry in column([Summary(0.5, 0.25, 2), None, 3.0])]
    ['0.50 ± 0.25', '–', '3.00']
    >>> [entry.mark for entry in column([1.0, 2.0, None, 2.0], best=max)]
    ['', 'best', '', 'best']
    """
    means = [value.mean if isinstance(value, Summary) else value for value in values]
    known = [mean for mean in means if mean is not None and math.isfinite(mean)]
    top = best(known) if best and len(known) > 1 else None
    return [
        Entry(_text(value, digits), mark if top is not None and mean == top else "")
        for value, mean in zip(values, means, strict=True)
    ]


def _text(value: Value, digits: int) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, Summary):
        spread = f" ± {value.deviation:,.{digits}f}" if value.deviation else ""
        return _text(value.mean, digits) + spread
    return f"{value:,.{digits}f}" if math.isfinite(value) else "∞"
