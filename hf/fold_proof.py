"""The proof that patches fold into a model: made-up ones give the same logits both ways.

Norms after a sub-layer, scales of what it adds, or shared streams make a fold wrong without any
sign of it. So strong patches at two cuts are compared, once run at the cuts and once as weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prunekit.core.errors import UnfitModel
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset
from prunekit.core.repair import Patch
from prunekit.hf.proof import close, config_of, gap, probe
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.roundtrip import sharing

if TYPE_CHECKING:
    from torch import Tensor

SHARE, SHARE_IN_16_BITS = 0.001, 0.25
"""Of what the patches change, the difference that rounding may make; a wrong fold differs by about
as much as they change. Rounding is multiplied by patches that double the stream."""


def prove_folds(plain: ModelAdapter) -> None:
    """Raise UnfitModel unless the weights of a model can hold patches.

    Of a model of one block, nothing can be removed, and nothing is tried.
    """
    import torch

    n = plain.facts.n_blocks
    removed = frozenset({1, n - 2} if n > 4 else {1})
    if n == 1:
        return
    trial = RepairedAdapter(plain, _made_up(plain), "made up")
    batch = probe(16, config=config_of(plain))
    with torch.no_grad():
        expected = trial.reference(batch, removed)
        bare = plain.reference(batch, removed)
        found = _pruned_logits(trial, removed, batch.input_ids)
    if close(expected, bare):
        raise UnfitModel("a patch between its blocks does not change what it predicts")
    if not gap(found, expected) <= _share(expected) * gap(expected, bare):
        raise UnfitModel(
            "a repair cannot be folded into its weights, as its blocks write into the residual "
            f"stream in another way than Llama's: logits differ by {gap(found, expected):.2g}"
        )


def _share(logits: Tensor) -> float:
    return SHARE if logits.dtype.itemsize > 2 else SHARE_IN_16_BITS


def _pruned_logits(adapter: RepairedAdapter, removed: Subset, ids: Tensor) -> Tensor:
    with adapter.bypassing(frozenset()) as dense:
        pruned = sharing(adapter, dense).without(removed)
    logits: Tensor = pruned(input_ids=ids.to(dense.device), use_cache=False).logits
    return logits


def _made_up(plain: ModelAdapter) -> Callable[[int, int], Patch]:
    """Return a patch that changes a stream about as much as there is of it."""
    import torch

    hidden = plain.hidden(plain.enter(probe(2, config=config_of(plain))))
    width = hidden.shape[-1]
    random = torch.randn(width, width, generator=torch.Generator().manual_seed(0)) / width**0.5
    matrix = random.to(hidden)
    return lambda start, end: Patch(2.0, matrix)
