"""Fold patches into the weights of the blocks that stay, so that a checkpoint holds them.

Blocks read the stream through a norm, which ignores its scale. So instead of scaling the stream at
a cut, whatever later blocks write into it is divided by the scale. A matrix changes what the last
feed-forward layer before the cut writes. Neither adds a parameter, nor touches embeddings or head.
Norms ignore a scale up to their epsilon, which is far below the stream after the first block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.core.repair import Patch

if TYPE_CHECKING:
    from torch import Tensor

    from prunekit.hf.decoder import DecoderAdapter, DecoderState

WRITERS = ("self_attn.o_proj", "mlp.down_proj")
"""The layers with which blocks of Llama's kind write into the residual stream."""


class TappedBlocks:
    """Runs blocks, and returns what their feed-forward layers add to the stream."""

    def __init__(self, adapter: DecoderAdapter) -> None:
        """Raises UnfitModel if a block has no such layer."""
        self.adapter = adapter
        self.taps = [_writers(block)[-1] for block in adapter.blocks.modules]

    def run(self, index: int, state: DecoderState) -> tuple[DecoderState, Tensor]:
        """Run a block; also return what its feed-forward layer added, `[rows, length, width]`."""
        with self.tapping(index) as added:
            state = self.adapter.block(index, state)
        return state, added[0]

    @contextmanager
    def tapping(self, index: int) -> Iterator[list[Tensor]]:
        """Yield a list of what the feed-forward layer of a block added last."""
        added: list[Tensor] = []

        def tap(layer: Any, args: Any, output: Tensor) -> None:
            added[:] = [output]

        hook = self.taps[index].register_forward_hook(tap)
        try:
            yield added
        finally:
            hook.remove()


def _writers(block: Any) -> list[Any]:
    import torch

    found = [block.get_submodule(name) if _has(block, name) else None for name in WRITERS]
    if not all(type(layer) is torch.nn.Linear for layer in found):
        raise UnfitModel(
            f"a {type(block).__name__} does not write into the residual stream through "
            f"{' and '.join(WRITERS)}, into which a repair could be folded"
        )
    return found


def _has(block: Any, path: str) -> bool:
    for name in path.split("."):
        block = getattr(block, name, None)
    return block is not None


def folded(blocks: Mapping[str, Any], patches: Mapping[int, Patch]) -> dict[str, Tensor]:
    """Return the weights that hold patches, by their names.

    `blocks` are those that stay, by name and in order; a patch is at the number of blocks before
    its cut, which is at least 1.
    """
    changed: dict[str, Tensor] = {}
    divisor = 1.0
    for index, (path, block) in enumerate(blocks.items()):
        divisor *= patches.get(index, Patch()).scale
        matrix = _mixing(patches.get(index + 1, Patch()))
        for name, layer in zip(WRITERS, _writers(block), strict=True):
            mixing = matrix if name == WRITERS[-1] else None
            if divisor == 1 and mixing is None:
                continue
            for kind, tensor in layer.named_parameters():
                changed[f"{path}.{name}.{kind}"] = _folded(tensor, divisor, mixing)
    return changed


def _mixing(patch: Patch) -> Tensor | None:
    """Return what the output of the feed-forward layer before a cut is multiplied by."""
    import torch

    if patch.matrix is None:
        return None
    matrix = _wide(patch.matrix) / patch.scale  # as the scale multiplies what is added here
    return matrix + torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def _folded(tensor: Tensor, divisor: float, mixing: Tensor | None) -> Tensor:
    """Return a weight `[width, inputs]` or a bias `[width]` of a layer with a patched output."""
    written = _wide(tensor) / divisor
    if mixing is not None:
        written = mixing.t().to(written.device) @ written
    return written.to(tensor)


def _wide(tensor: Tensor) -> Tensor:
    """Return it in float64, which an Apple GPU does not have."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
