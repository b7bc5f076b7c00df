"""How results show themselves in Python: a few lines, a picture in a notebook, a data frame."""

from __future__ import annotations

import abc
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import words
from prunekit.engine.reading import Difference

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 88
KEPT, REMOVED = "█", "·"
KEPT_COLOUR, REMOVED_COLOUR = "#4477aa", "transparent"
BLOCK = (
    "display:inline-block;width:9px;height:18px;margin:1px;border:1px solid {edge};"
    "background:{fill};border-radius:2px"
)


@dataclass(frozen=True)
class Summary:
    """What a result says in short."""

    title: str
    removed: Collection[int] = ()
    n_blocks: int = 0
    """0 if the result does not hold it: then there is no picture"""
    facts: Mapping[str, str] = field(default_factory=dict)


class Summarised(abc.ABC):
    """A result that shows a summary of itself, and gives its rows as a data frame."""

    @abc.abstractmethod
    def summary(self) -> Summary:
        """Return what to show."""

    @abc.abstractmethod
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the rows of the data frame as plain data, one for each thing that is compared."""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a data frame; what lies deeper has names with dots."""
        import pandas as pd

        return pd.json_normalize([dict(row) for row in self.rows()])

    def __repr__(self) -> str:
        """Return the summary in a few lines."""
        of = self.summary()
        picture = [_picture(of)] if of.n_blocks else []
        wide = max(map(len, of.facts), default=0)
        facts = [_hanging(f"{name:{wide}}  ", value) for name, value in of.facts.items()]
        return "\n".join([f"{type(self).__name__}: {of.title}", *picture, *facts])

    def _repr_html_(self) -> str:
        """Return the summary with a picture of the blocks, for notebooks."""
        of = self.summary()
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in of.facts.items()
        )
        blocks = "".join(_block(i, i in of.removed) for i in range(of.n_blocks))
        picture = f"<div style='line-height:1'>{blocks}</div>" if blocks else ""
        return f"<div><b>{escape(of.title)}</b></div>{picture}<table>{rows}</table>"


def _hanging(head: str, value: str) -> str:
    below = " " * len(head)
    lines = textwrap.wrap(value, WIDTH - len(head), break_long_words=False, break_on_hyphens=False)
    return "\n".join([head + "".join(lines[:1]), *(below + line for line in lines[1:])])


def _picture(of: Summary) -> str:
    return "".join(REMOVED if i in of.removed else KEPT for i in range(of.n_blocks))


def _block(number: int, removed: bool) -> str:
    style = BLOCK.format(edge=KEPT_COLOUR, fill=REMOVED_COLOUR if removed else KEPT_COLOUR)
    title = f"block {number}, {'removed' if removed else 'kept'}"
    return f"<span title='{title}' style='{style}'></span>"


def without(model: str, removed: Collection[int]) -> str:
    """Name a pruned model: `demo without 2,5`."""
    return f"{model} without {words(removed)}" if removed else model


def with_error(difference: Difference) -> str:
    """Write a difference with its standard error."""
    if difference.value is None:
        return "not finite"
    error = difference.standard_error
    return f"{difference.value:+.4f}" + ("" if error is None else f" ± {error:.4f}")


def plain(row: Any, *without: str) -> dict[str, Any]:
    """Return a dataclass as plain data, apart from some fields."""
    return {name: value for name, value in asdict(row).items() if name not in without}
