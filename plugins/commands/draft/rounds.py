"""What a draft saves: tokens per forward of the target, and the speed that follows from them.

A round of speculative decoding is one forward of the target: the draft proposes some tokens, the
target reads them all at once, keeps those that it would have written itself up to the first that it
would not, and adds one of its own (Leviathan et al., arXiv 2211.17192).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def expected_tokens(acceptance: float, lookahead: int) -> float:
    """Return tokens per forward of the target if each token is accepted independently of others.

    (1 - a^(g+1)) / (1 - a), equation 1 of the paper.

    >>> expected_tokens(0.5, 2), expected_tokens(1.0, 4), expected_tokens(0.0, 4)
    (1.75, 5.0, 1.0)
    """
    return sum(acceptance**accepted for accepted in range(lookahead + 1))


def speedup(tokens: float, lookahead: int, cost: float) -> float:
    """Return the speed over that of the target alone, by theorem 3.8 of the paper.

    `tokens` come out of a round that takes `lookahead` steps of the draft, each `cost` times a step
    of the target, and one step of the target: to read several tokens is taken to be no slower.

    >>> speedup(1.75, 2, 0.25), speedup(1.0, 2, 0.25)
    (1.1666666666666667, 0.6666666666666666)
    """
    return tokens / (lookahead * cost + 1)


@dataclass(frozen=True)
class Rounds:
    """Rounds of the target, and the tokens that they wrote."""

    tokens: int = 0
    forwards: int = 0
    proposed: int = 0
    """tokens of the draft, of which those that were rejected are no tokens of the text"""

    def __add__(self, other: Rounds) -> Rounds:
        return Rounds(
            self.tokens + other.tokens,
            self.forwards + other.forwards,
            self.proposed + other.proposed,
        )

    @property
    def per_forward(self) -> float:
        """Tokens per forward of the target."""
        return self.tokens / self.forwards


def replay(right: Sequence[bool], lookahead: int, most: int) -> Rounds:
    """Count the rounds in which a text was written with a draft that was `right` at these places.

    The text is the target's own, greedily written; the draft was asked for the likeliest token at
    each of its places. What it proposes in a round follows tokens that were accepted, so nothing
    else is needed to know each round, and none is assumed to be independent of another. `most` is
    the number of tokens at which generation ends: as in transformers, the draft proposes none that
    would leave no room for the target's own.

    >>> replay([True, True, False, True, True], lookahead=2, most=5)
    Rounds(tokens=5, forwards=2, proposed=3)
    """
    at = rounds = proposed = 0
    while at < len(right):
        ahead = min(lookahead, most - at - 1)
        accepted = next((n for n, good in enumerate(right[at : at + ahead]) if not good), None)
        if accepted is None:
            accepted = min(ahead, len(right) - at)
        proposed += ahead
        at += accepted + 1
        rounds += 1
    return Rounds(len(right), rounds, proposed)
