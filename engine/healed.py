"""How a pruned model was healed, as results and `prunekit.json` give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.engine.reading import Difference
from prunekit.engine.stored import check_counts, check_difference


@dataclass(frozen=True)
class Healed:
    """A training on text, and the losses before and after it on text that it did not see.

    Losses are in nats per token.
    """

    teacher: str
    """the dense model; empty if none taught"""
    method: str
    """what was trained: `lora`, `last` or `full`"""
    trained: str
    """the same in words"""
    tokens: int
    """up to the step whose weights were taken, those that were seen twice counted twice"""
    planned: int
    """tokens of the whole training"""
    distinct: int
    """tokens of the text to train on"""
    data: str
    distill: float
    """share of the teacher in the loss"""
    rate: float
    length: int
    """tokens of a sequence"""
    seed: int
    step: int
    """whose weights were taken"""
    held_out: int
    """tokens predicted for these losses"""
    samples: int
    """sequences of them"""
    dense: float
    before: float
    after: float
    gain: Difference
    """`after` minus `before`"""
    above: Difference
    """`after` minus `dense`"""
    above_before: Difference
    """`before` minus `dense`"""
    versions: Mapping[str, str]
    """of the packages that trained it"""
    options: Mapping[str, Any]
    """those of the training"""
    objective: str
    """whose text it is"""
    objective_options: Mapping[str, Any]

    @property
    def words(self) -> str:
        """Say what was done, and what it gained."""
        taught = f"with {self.teacher} as its teacher" if self.teacher else "without a teacher"
        error = self.gain.standard_error
        spread = "" if error is None else f" ± {error:.4f}"
        return (
            f"healed on {self.tokens:,} tokens of {self.data} {taught}, {self.trained} trained: "
            f"{self.after:.4f} nats per token on {self.held_out:,} others, {self.gain.value:+.4f}"
            f"{spread} ({self.before:.4f} before, {self.dense:.4f} the dense model)"
        )


def check_healed(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless the numbers in a file can be those of a training."""
    counts = ("tokens", "planned", "distinct", "length", "step", "held_out", "samples", "rate")
    check_counts(row, *counts, name="heal")
    for name, one, other in (
        ("gain", "after", "before"),
        ("above", "after", "dense"),
        ("above_before", "before", "dense"),
    ):
        check_counts(row[name], "standard_error", name=f"heal.{name}")
        check_difference(row[name]["value"], row[one], row[other])
