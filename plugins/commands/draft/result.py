"""The result of `prunekit draft`: every draft that was compared, and the best."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.core.errors import PrunekitError
from prunekit.core.problem import words
from prunekit.engine.drafted import Drafted
from prunekit.engine.stored import finite
from prunekit.engine.summary import Summarised, Summary, plain
from prunekit.plugins.commands.latency.benchmark import Spread

SCHEMA = 1


@dataclass(frozen=True)
class Ahead:
    """What a draft is worth when it proposes that many tokens at once."""

    lookahead: int
    formula: float
    """tokens per forward of the dense model, if each is right independently of the others"""
    predicted: float
    """the same, counted on the texts that it would have helped to write"""
    speedup: float
    """of these, as if the dense model read several tokens as fast as one"""


@dataclass(frozen=True)
class Candidate:
    """The draft without these blocks."""

    budget: int
    removed: tuple[int, ...]
    on_text: float | None
    """what the objective says of text that people wrote; None if the blocks were named"""
    agreement: float
    """share of places of the dense model's own texts at which it is right"""
    cost: Spread
    """of one of its steps, over one of the dense model"""
    ahead: tuple[Ahead, ...]

    @property
    def best(self) -> Ahead:
        """The lookahead with the largest speed-up, the smallest of several."""
        return max(self.ahead, key=lambda ahead: ahead.speedup)


@dataclass(frozen=True, repr=False)
class DraftResult(Summarised):
    """Drafts of one model at several budgets. Predictions are of greedy text."""

    model: str
    weights: str
    n_blocks: int
    searcher: str
    """empty if the blocks were named"""
    objective: str
    candidates: tuple[Candidate, ...]
    best: int
    """the budget of the best draft"""
    drafted: Drafted
    """the best draft, tried"""
    saved: str
    """the folder of its checkpoint; empty if none was written"""
    prompts: str
    new_tokens: int
    dtype: str
    device: str
    threads: int
    versions: Mapping[str, str]
    folder: str
    """what is kept of the measurements"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return the predicted speed-up of each draft."""
        facts = {
            f"{each.budget} removed": f"{each.best.speedup:.2f} times as fast, agrees on "
            f"{each.agreement:.0%}, blocks {words(each.removed)}"
            for each in self.candidates
        }
        winner = self.winner.removed
        return Summary(f"drafts of {self.model}", winner, self.n_blocks, facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each draft, with its best number of tokens ahead."""
        return [plain(c, "ahead") | {"best": plain(c.best)} for c in self.candidates]

    @property
    def winner(self) -> Candidate:
        """The best draft."""
        return next(c for c in self.candidates if c.budget == self.best)

    @property
    def pays(self) -> bool:
        """Whether a speed-up is predicted."""
        return self.winner.best.speedup > 1

    def to_json(self) -> str:
        """Return JSON text."""
        row: dict[str, Any] = finite(dataclasses.asdict(self))
        return json.dumps(row, indent=2, allow_nan=False) + "\n"


class NoDraftPays(PrunekitError):
    """A draft was to be written, but none is faster than the dense model. Holds the result."""

    exit_status = 3

    def __init__(self, message: str, result: DraftResult) -> None:
        super().__init__(message)
        self.result = result


def verdict_on(result: DraftResult) -> str:
    """Say in words whether the best draft pays."""
    winner, best = result.winner, result.winner.best
    what = (
        f"without {winner.budget} of {result.n_blocks} blocks it costs {winner.cost.median:.2f} of "
        f"a dense step and is right {winner.agreement:.2f} of the time"
    )
    if result.pays:
        return (
            f"the best draft pays: {what}; with {best.lookahead} ahead the predicted speed-up is "
            f"{best.speedup:.2f}"
        )
    said = f"{what}; the best speed-up is {best.speedup:.2f}"
    if winner.agreement > winner.cost.median:  # then one ahead pays, if any number does
        return f"no draft pays with this lookahead: {said}. Give --lookahead 1-8"
    return (
        f"a draft of this model cannot pay here: {said}. A draft has to be right more often than "
        "it costs"
    )
