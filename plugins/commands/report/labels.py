"""The labels of a study as the report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

from prunekit.engine.conditions import condition
from prunekit.engine.escaping import one_line
from prunekit.engine.study_folder import Cell, CellFailure, CellResult, Importance
from prunekit.plugins.commands.study.draw_losses import DrawLosses

if TYPE_CHECKING:
    import pandas as pd


def in_conditions(found: Any) -> Any:
    """Let every objective under a calibration count as one of its own, called `ppl small`."""
    if isinstance(found, Cell | Importance | DrawLosses):
        return replace(found, objective=condition(found.objective, found.calibration))
    if isinstance(found, CellResult | CellFailure):
        return replace(found, cell=in_conditions(found.cell))
    return tuple(map(in_conditions, found)) if isinstance(found, tuple) else found


def out_of_conditions(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with their objectives apart from their calibrations, which have a column."""
    pairs = zip(runs["objective"], runs["calibration"], strict=True)
    return runs.assign(objective=[o.removesuffix(condition("", c)) for o, c in pairs])


def in_lines(found: Any) -> Any:
    """Apply `one_line` to every text."""
    if isinstance(found, str):
        return one_line(found)
    if isinstance(found, tuple):
        return tuple(map(in_lines, found))
    if isinstance(found, Mapping):
        return {in_lines(key): in_lines(value) for key, value in found.items()}
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{name: in_lines(value) for name, value in vars(found).items()})
    return found
