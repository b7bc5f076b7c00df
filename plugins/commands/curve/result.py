"""The curve of a model: what each budget costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from prunekit.core.problem import words
from prunekit.engine.reading import Difference
from prunekit.engine.stored import finite
from prunekit.engine.summary import Summarised, Summary, plain, with_error
from prunekit.plugins.commands.curve.knee import Knee

SCHEMA = 1


@dataclass(frozen=True)
class Evaluated:
    """A perplexity of one choice, and what it is over that of the dense model.

    None is not finite, or, of the ends of the 95 % interval, not known.
    """

    perplexity: float | None
    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Point:
    """What a search chose at one budget. The first point of a curve is the dense model, 0."""

    budget: int
    removed: tuple[int, ...]
    loss: float
    """on the calibration set"""
    above_dense: Difference
    held_out: float | None
    """the loss on held-out samples, None if it is not finite or none are held out"""
    held_out_above_dense: Difference
    parameters: int
    """that are left"""
    bytes: int
    """of these, in the dtype of the curve"""
    speedup: float | None
    """of decoding, predicted from the parameters that a token reads; None if that is not known"""
    evaluated: Mapping[str, Evaluated] = field(default_factory=dict)
    """by the protocol of `prunekit evaluate`; empty unless that was asked for"""


@dataclass(frozen=True, repr=False)
class CurveResult(Summarised):
    """Losses, parameters and memory for each budget. Losses are in `unit`."""

    model: str
    weights: str
    """the commit, or a digest of the files"""
    searcher: str
    objective: str
    unit: str
    seed: int
    n_blocks: int
    samples: int
    """of the calibration set"""
    held_out_samples: int
    dtype: str
    """of the weights, as asked for or as they are stored"""
    points: tuple[Point, ...]
    knee: Knee | None
    """of the held-out loss, or, if no samples are held out, of that on the calibration set"""
    measured: int
    """subsets on the calibration set, without those that the journal knew"""
    seconds: float
    versions: Mapping[str, str]
    folder: str
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """how each text that is evaluated was cut, by protocol"""
    repair: str = ""
    """what makes up for the removed blocks in all of these numbers; empty for bare removals"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return the loss at each budget, and the knee."""
        facts = {
            f"{point.budget} removed": f"{with_error(point.above_dense)} {self.unit}, "
            f"blocks {words(point.removed)}"
            for point in self.points
        }
        if self.knee:
            facts["knee"] = str(self.knee.budget)
        return Summary(f"{self.model}, {self.search}", facts={**facts, "folder": self.folder})

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each budget."""
        return [plain(point) for point in self.points]

    @property
    def search(self) -> str:
        """Name the searches in words."""
        named = f"{self.searcher} on {self.objective}"
        return f"{named}, repaired by {self.repair}" if self.repair else named

    def to_json(self) -> str:
        """Return JSON text; a number that is not finite is null."""
        row: dict[str, Any] = finite(asdict(self))
        return json.dumps(row, indent=2, allow_nan=False) + "\n"
