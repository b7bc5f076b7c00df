"""The likeliest words of predictions, and distributions in which all others count as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 1e-9
"""The probability of all other words, at least: it is 1 minus a sum, which rounding can make 0."""


def likeliest(logits: Tensor, words: int) -> tuple[Tensor, Tensor]:
    """Return the `words` likeliest words at each place and their log-probabilities.

    `logits` is `[places, vocabulary]`; both are `[places, words]`, or the whole of a smaller
    vocabulary.
    """
    best = logits.log_softmax(-1).topk(min(words, logits.shape[-1]))
    return best.indices, best.values


def divergence(kept: Tensor, others: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of another distribution from one, in nats, `[places]`.

    `kept` are log-probabilities of its likeliest words, `others` those of the same words in the
    other. All further words count as one, so it is at most the divergence over all words.
    """
    of_words = (kept.exp() * (kept - others)).sum(-1)
    rest, of_others = _rest(kept), _rest(others)
    return of_words + rest * (rest.log() - of_others.log())


def overlap(kept: Tensor, others: Tensor) -> Tensor:
    """Return the sum over words of the smaller of both probabilities, `[places]`.

    The arguments are those of `divergence`. All further words count as one, so it is at least the
    sum over all words.
    """
    import torch

    of_words = torch.minimum(kept.exp(), others.exp()).sum(-1)
    return (of_words + torch.minimum(_rest(kept), _rest(others))).clamp_max(1)


def _rest(logprobs: Tensor) -> Tensor:
    return (1 - logprobs.exp().sum(-1)).clamp_min(LEAST)
