"""Let the last feed-forward layer before a cut write what the removed blocks would have added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import Cut, Patch, Repair, hookimpl
from prunekit.hf import token_weights

if TYPE_CHECKING:
    from torch import Tensor

RIDGES = (0.01, 0.1, 1.0)
"""Strengths of the ridge to try, in means of the diagonal of the moments."""


@dataclass(frozen=True)
class LeastSquares(Repair):
    """Predict what removed blocks add from the feed-forward layer before them.

    As ReplaceMe (arXiv 2505.02819): T = (M' W M + r I)^-1 M' W D, where M are the outputs of that
    layer and D what the removed blocks add to the stream, one token a row. There the
    weights W are 1 and r is 0. Here a token weighs one over the mean square of its stream, so that
    the few with a huge one do not decide alone, and r is chosen on other tokens, as is no patch.
    """

    name: ClassVar[str] = "least-squares"
    paper: ClassVar[str] = "arXiv 2505.02819"

    def patches(self, cut: Cut) -> Iterator[Patch]:
        """Yield one for each ridge, then none."""
        import torch

        moments, crossed = weighted_moments(cut)
        unit = torch.eye(len(moments), dtype=moments.dtype, device=moments.device)
        for ridge in RIDGES:
            strength = ridge * moments.diagonal().mean()
            yield Patch(matrix=torch.linalg.solve(moments + strength * unit, crossed).float())
        yield Patch()

    def tokens_needed(self, width: int) -> int:
        """As many as a matrix has rows, or the moments have no inverse."""
        return width


def weighted_moments(cut: Cut) -> tuple[Tensor, Tensor]:
    """Return M' W M and M' W D in float64, `[width, width]` each."""
    roots = token_weights(cut).sqrt()[:, None]
    fed, added = cut.fed * roots, (cut.after - cut.before) * roots
    return fed.T @ fed, fed.T @ added


@hookimpl
def prunekit_repairs() -> list[type]:
    return [LeastSquares]
