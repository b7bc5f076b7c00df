"""What a teacher predicts, whole or its likeliest words only, and how far a student is from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from prunekit.hf.likeliest import divergence

if TYPE_CHECKING:
    from torch import Tensor


class Predictions(Protocol):
    """A teacher's predictions at places in order."""

    def at(self, places: slice) -> Predictions:
        """Return those at some of the places."""

    def divergence(self, logprobs: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence of a student's from them, in nats, `[places]`.

        `logprobs` is `[places, vocabulary]`.
        """


@dataclass(frozen=True)
class Whole:
    """The logits of all words."""

    logits: Tensor
    """`[places, vocabulary]`"""

    def at(self, places: slice) -> Whole:
        """Return those at some of the places."""
        return Whole(self.logits[places])

    def divergence(self, logprobs: Tensor) -> Tensor:
        """Return the sum over words of p log(p / q)."""
        own = self.logits.to(logprobs.device).float().log_softmax(-1)
        found: Tensor = (own.exp() * (own - logprobs)).sum(-1)
        return found


@dataclass(frozen=True)
class Likeliest:
    """The likeliest words; all others count as one."""

    words: Tensor
    """`[places, kept]`"""
    logprobs: Tensor
    """the same shape"""

    def at(self, places: slice) -> Likeliest:
        """Return those at some of the places."""
        return Likeliest(self.words[places], self.logprobs[places])

    def divergence(self, logprobs: Tensor) -> Tensor:
        """Return the divergence of the distributions with one word for all that are not kept.

        It is at most that of the whole ones.
        """
        kept = self.logprobs.to(logprobs.device).float()
        words = self.words.to(logprobs.device).long()
        return divergence(kept, logprobs.gather(-1, words))
