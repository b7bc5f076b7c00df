"""Cosine similarity of hidden states at the boundaries of blocks.

Between the two boundaries of one block it is the similarity of ShortGPT (Men et al., arXiv
2403.03853, equation 1); between distant ones that of Gromov et al. (arXiv 2403.17887, section 3.2),
who take the last token alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prunekit.core import Batch, ModelAdapter, Objective, Signal, Table
from prunekit.plugins.searchers.signals.boundaries import hidden_states

if TYPE_CHECKING:
    from torch import Tensor

TOKENS_AT_ONCE = 256
"""Tokens whose hidden states are held in float32 at all boundaries."""


def boundary_cosine(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return the mean cosine between boundaries a and b, `[blocks + 1][blocks + 1]`, symmetric.

    The mean is over all tokens of the calibration set, without padding. The hidden states of one
    batch at all boundaries are held at a time, in the dtype of the model.
    """
    import torch

    n = adapter.facts.n_blocks + 1
    total, tokens = torch.zeros(n, n, dtype=torch.float64), 0
    with torch.no_grad():
        for batch in batches:
            states = list(hidden_states(adapter, batch))
            tokens += len(states[0])
            for first in range(0, len(states[0]), TOKENS_AT_ONCE):
                total += _cosines([state[first : first + TOKENS_AT_ONCE] for state in states])
    table: list[list[float]] = ((total + total.T) / 2 / tokens).clamp(-1, 1).tolist()
    return table


def synthetic_cosine(n_blocks: int) -> Table:
    """Return cosines of a made-up model, whose first and last blocks turn the hidden state most."""
    turns = [1 / (1 + min(i, n_blocks - 1 - i)) for i in range(n_blocks)]
    boundaries = range(n_blocks + 1)
    between = [[sum(turns[min(a, b) : max(a, b)]) for b in boundaries] for a in boundaries]
    return [[1 / (1 + 0.1 * x) for x in row] for row in between]


BOUNDARY_COSINE = Signal(
    "boundary_cosine", boundary_cosine, synthetic_cosine, "boundaries", "boundaries"
)


def _cosines(states: Sequence[Tensor]) -> Tensor:
    """Return the sums over tokens of the cosines between all pairs of boundaries."""
    import torch

    units = torch.nn.functional.normalize(torch.stack(list(states)).float(), dim=-1).flatten(1)
    return (units @ units.T).cpu().double()
