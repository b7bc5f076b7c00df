"""A model whose stream is repaired wherever blocks are removed.

It runs block by block like any other: a patch depends only on where a cut begins and ends, so
subsets that agree on their first blocks still share them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from prunekit.core.batch import Batch
from prunekit.core.errors import UnfitModel
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset
from prunekit.core.repair import Patch
from prunekit.hf.blocks import block_path
from prunekit.hf.decoder import DecoderAdapter, DecoderState
from prunekit.hf.folds import TappedBlocks, folded
from prunekit.hf.head import Predictions
from prunekit.hf.replay import Call
from prunekit.hf.streams import cuts_of, patched

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

PatchOf: TypeAlias = Callable[[int, int], Patch]
"""Gives the patch of a cut: the first block removed, which is above 0, and the one after it."""


@dataclass(frozen=True)
class RepairedState:
    """A state of the model, before anything is known of the blocks to come."""

    plain: DecoderState
    after: int
    """the block that follows the last one that ran"""
    fed: Tensor | None
    """what the feed-forward layer of that one added; None before any block ran"""


class RepairedAdapter(ModelAdapter):
    """Runs a model with patched cuts. A cut before which no block stays is left bare."""

    name: ClassVar[str] = "repaired"

    def __init__(self, plain: ModelAdapter, patch_of: PatchOf, identity: str) -> None:
        """`identity` distinguishes these patches from others, as part of the fingerprint.

        Raises UnfitModel if patches cannot be folded into the weights of the model.
        """
        if not isinstance(plain, DecoderAdapter):
            raise UnfitModel(f"its adapter {plain.name!r} is not derived from DecoderAdapter")
        self.plain = plain
        self.patch_of = patch_of
        self._tapped = TappedBlocks(plain)
        fingerprint = {**plain.facts.fingerprint, "repair": identity}
        self.facts = replace(plain.facts, fingerprint=fingerprint)

    @classmethod
    def handles(cls, config: Any) -> int:
        """Return 0: it is made of another adapter."""
        return 0

    @classmethod
    def load(cls, checkpoint: Any, device: str, dtype: str) -> ModelAdapter:
        """Refuse: it is made of another adapter."""
        raise UnfitModel("a repaired model is made of a loaded one")

    def takes_trees(self, length: int) -> bool:
        """Ask the model: patches act on each token by itself."""
        return self.plain.takes_trees(length)

    def enter(self, batch: Batch) -> RepairedState:
        """Return the input of block 0."""
        return RepairedState(self.plain.enter(batch), 0, None)

    def block(self, index: int, state: RepairedState) -> RepairedState:
        """Run one block, after a repaired cut if blocks before it were left out."""
        after, added = self._tapped.run(index, self._reached(index, state))
        return RepairedState(after, index + 1, added)

    def gated_block(self, index: int, state: RepairedState, gate: Tensor) -> RepairedState:
        """Run it with the output of each sub-layer multiplied by `gate`."""
        with self._tapped.tapping(index) as added:
            after = self.plain.gated_block(index, self._reached(index, state), gate)
        gated = (added[0] * gate.to(added[0].device)[:, None, None]).to(added[0].dtype)
        return RepairedState(after, index + 1, gated)

    def state_bytes(self, state: RepairedState) -> int:
        """Return the size of the hidden state and of what is kept for a patch after any block."""
        return self.plain.state_bytes(state.plain) + state.plain.hidden.nbytes

    def hidden(self, state: RepairedState) -> Tensor:
        """Return the hidden state, `[rows, length, width]`, as the last block that ran left it."""
        return self.plain.hidden(state.plain)

    def output(self, state: RepairedState) -> Predictions:
        """Apply final norm and head, after a repaired cut if the last blocks were left out."""
        return self.plain.output(self._reached(self.facts.n_blocks, state))

    def reference(self, batch: Batch, removed: Subset) -> Tensor:
        """Return the logits of the model's own forward pass with patched cuts."""
        with self.bypassing(removed):
            return self.plain.reference(batch, frozenset())

    @contextlib.contextmanager
    def bypassing(self, removed: Subset) -> Iterator[PreTrainedModel]:
        """Yield the model itself, with these blocks bypassed and their cuts patched."""
        patches = self._patches(removed)  # before any block is replaced, as fitting one runs them
        with contextlib.ExitStack() as stack:
            model = stack.enter_context(self.plain.bypassing(removed))
            for (start, end), patch in patches.items():
                added = stack.enter_context(self._tapped.tapping(start - 1))
                crossing = self._crossing(patch, added)
                stack.enter_context(self.plain.blocks.replaced(end - 1, crossing))
            yield model

    def without(self, removed: Subset) -> PreTrainedModel:
        """Return the model without these blocks, with the patches of their cuts in its weights."""
        import torch

        model = self.plain.without(removed)
        weights = self._folded(model, removed)
        for name, tensor in weights.items():
            path, _, kind = name.rpartition(".")
            weight = torch.nn.Parameter(tensor, requires_grad=False)
            setattr(model.get_submodule(path), kind, weight)
        self.rewritten = tuple(weights)
        return model

    def _folded(self, pruned: PreTrainedModel, removed: Subset) -> dict[str, Tensor]:
        """Return the weights that hold the patches, for a pruned model that has none yet."""
        path = block_path(pruned)
        modules: Any = pruned.get_submodule(path)
        blocks = {f"{path}.{index}": block for index, block in enumerate(modules)}
        patches = {
            sum(i not in removed for i in range(start)): patch
            for (start, _), patch in self._patches(removed).items()
        }
        return folded(blocks, patches)

    def _patches(self, removed: Subset) -> dict[tuple[int, int], Patch]:
        cuts = cuts_of(removed, self.facts.n_blocks)
        return {(start, end): self.patch_of(start, end) for start, end in cuts if start}

    def _reached(self, index: int, state: RepairedState) -> DecoderState:
        """Return what enters a block."""
        if state.fed is None or index == state.after:
            return state.plain
        patch = self.patch_of(state.after, index)
        return replace(state.plain, hidden=patched(patch, state.plain.hidden, state.fed))

    def _crossing(self, patch: Patch, added: list[Tensor]) -> Callable[[int, Tensor, Call], Any]:
        def cross(index: int, hidden: Tensor, call: Call) -> Any:
            return self.plain.blocks.passing_on(index, patched(patch, hidden, added[0]))

        return cross
