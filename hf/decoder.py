"""Run a Hugging Face decoder block by block: the base of all model families.

The model's own code builds masks and rotary embeddings and runs everything before the first and
after the last block; the adapter only decides which blocks run. So it does not depend on how a
release builds them, and scaled logits, soft caps or mixed layer types need no special case. A
family may override `output` and `gated_block` with a faster or a finer implementation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prunekit.core.batch import Batch, TreeBatch
from prunekit.core.errors import UnfitModel
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset
from prunekit.core.spec import ModelFacts
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.construction import rebuild, removal_check
from prunekit.hf.head import Predictions
from prunekit.hf.linear_head import ends_with_head, head_doing, precise_head, word_logprobs
from prunekit.hf.parameters import own_parameters
from prunekit.hf.proof import probe
from prunekit.hf.reading import check_finite, read_model
from prunekit.hf.replay import Blocks, Call, inspect_blocks
from prunekit.hf.tree_proof import proves_trees

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["DecoderAdapter"]


@dataclass(frozen=True)
class DecoderState:
    """A hidden state between two blocks, and the other arguments of every block."""

    hidden: Tensor
    calls: tuple[Call, ...]


class DecoderAdapter(ModelAdapter):
    """Record once per batch how the model calls its blocks, then replay any of them."""

    name: ClassVar[str]
    demo: ClassVar[Path | None] = None

    def __init__(self, model: PreTrainedModel, identity: str) -> None:
        """Wrap a model whose weights are identified by `identity`, a commit or a digest.

        Raises UnfitModel if the model's blocks cannot be run one by one.
        """
        self.model: Any = model.eval()  # type: ignore[no-untyped-call]
        self.model.requires_grad_(False)
        self.blocks = Blocks(model)
        self._study()
        of_blocks = own_parameters(self.blocks.modules)
        self.facts = ModelFacts(
            n_blocks=len(self.blocks),
            parameters=model.num_parameters(),
            block_parameters=of_blocks,
            fingerprint=self._fingerprint(identity),
            head_price=self._head_parameters() * len(of_blocks) / max(1, sum(of_blocks)),
        )

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Return 0; each family overrides this."""
        return 0

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str, dtype: str) -> DecoderAdapter:
        """Read the weights. Raises CheckpointError if any is missing, unexpected or damaged."""
        model = read_model(checkpoint, device, dtype)
        try:
            return cls(model, checkpoint.identity())
        except UnfitModel:
            check_finite(model)  # gives the reason if so
            raise

    @classmethod
    def removal_check(
        cls, config: PretrainedConfig, trust_remote_code: bool
    ) -> Callable[[Subset], None] | None:
        """Predict from the configuration alone which subsets `without` will refuse."""
        return removal_check(config, trust_remote_code)

    def takes_trees(self, length: int) -> bool:
        """Try it on rows of this length."""
        config, tokens_of = self.model.config, lambda hidden: self._tokens_first(hidden).flatten(2)
        return proves_trees(self.blocks, config, self.enter, tokens_of, length)

    def enter(self, batch: Batch) -> DecoderState:
        """Return the input of block 0, from a forward pass in which no block computes anything.

        It costs an embedding, not a dense pass, so it is repeated for every batch.
        """
        calls: list[Call] = []
        first: list[Tensor] = []

        def record(index: int, hidden: Tensor, call: Call) -> Any:
            first.append(hidden)
            calls.append(call)
            if len(calls) == len(self.blocks):
                raise _Entered
            return self.blocks.passing_on(index, hidden)

        with self.blocks.doing(record), contextlib.suppress(_Entered):
            self._forward(batch)
        return DecoderState(first[0], tuple(calls))

    def block(self, index: int, state: DecoderState) -> DecoderState:
        """Run one block with the arguments that the model passed to it."""
        return replace(state, hidden=self.blocks.run(index, state.hidden, state.calls[index]))

    def gated_block(self, index: int, state: DecoderState, gate: Tensor) -> DecoderState:
        """Return `h + gate * (block(h) - h)`: the block at gate 1, its input at gate 0.

        A gate on each sub-layer, as the signals define it, agrees at 0 and 1 but not in between;
        families whose sub-layers are known override this.
        """
        before, after = state.hidden, self.block(index, state).hidden
        rows = [len(gate) if axis == self.blocks.rows_axis else 1 for axis in range(after.dim())]
        weight = gate.to(after.device).view(rows)
        mixed = before.float().lerp(after.float(), weight).to(after.dtype)
        return replace(state, hidden=mixed)

    def state_bytes(self, state: DecoderState) -> int:
        """Return the size of the hidden state; the calls are shared by all states of a batch."""
        return state.hidden.nbytes

    def hidden(self, state: DecoderState) -> Tensor:
        """Return the hidden state, `[rows, length, width]`, with several streams concatenated."""
        return self._tokens_first(state.hidden).flatten(2)

    def output(self, state: DecoderState) -> Predictions:
        """Return predictions that run the final norm and head in chunks of positions."""
        words = self.model.config.get_text_config().vocab_size
        of_words = self._of_words if self._ends_with_head else None
        return Predictions(self._tokens_first(state.hidden), self._logits, words, of_words)

    def reference(self, batch: Batch, removed: Subset) -> Tensor:
        """Return the logits of the model's own forward pass with the removed blocks bypassed."""
        with self.bypassing(removed):
            logits: Tensor = self._forward(batch).logits
        return logits

    @contextlib.contextmanager
    def bypassing(self, removed: Subset) -> Iterator[PreTrainedModel]:
        """Yield the model itself, with these blocks bypassed inside the context."""
        with contextlib.ExitStack() as stack:
            for index in removed:
                stack.enter_context(self.blocks.replaced(index, self._pass_on))
            yield self.model

    def without(self, removed: Subset) -> PreTrainedModel:
        """Return a newly built model without these blocks, sharing the weights of this one."""
        return rebuild(self.model, removed)

    def _pass_on(self, index: int, hidden: Tensor, call: Call) -> Any:
        return self.blocks.passing_on(index, hidden)

    def _logits(self, places: Tensor) -> Tensor:
        """Return logits `[places, words]` for hidden states `[places, ...]` of the last block."""
        with precise_head(self.model):
            return self._tail(places)

    def _of_words(self, places: Tensor, words: Tensor) -> Tensor:
        """Return the log-probability of a word for each of them, `[places]`."""
        with head_doing(self.model, lambda head, hidden: word_logprobs(head, hidden, words)):
            return self._tail(places)[:, 0]

    def _tail(self, places: Tensor) -> Tensor:
        """Return what the model's own norm and head make of hidden states `[places, ...]`.

        Each place becomes a row of one token, for which the first block returns the hidden state.
        """
        import torch

        hidden = places[:, None].movedim((0, 1), (self.blocks.rows_axis, self.blocks.rows_axis + 1))
        ones = torch.ones(len(places), 1, dtype=torch.long)

        def stand_in(index: int, entered: Tensor, call: Call) -> Any:
            return self.blocks.passing_on(index, entered if index else hidden)

        with self.blocks.doing(stand_in):
            logits: Tensor = self._call(ones, ones).logits[:, 0]
        return logits

    def _tokens_first(self, hidden: Tensor) -> Tensor:
        """Move rows and positions to the first two axes."""
        axis = self.blocks.rows_axis
        return hidden.movedim((axis, axis + 1), (0, 1))

    def _study(self) -> None:
        import torch

        batch = probe(7, 7, config=self.model.config)
        with torch.no_grad():
            inspect_blocks(self.blocks, lambda: self._forward(batch), *batch.input_ids.shape)
            places = self._tokens_first(self.enter(batch).hidden)[0]
            self._ends_with_head = ends_with_head(self.model, lambda: self._tail(places))

    def _forward(self, batch: Batch) -> Any:
        if not isinstance(batch, TreeBatch):
            return self._call(batch.input_ids, batch.attention_mask)
        mask = _additive(batch.visible, self.model.dtype)
        return self._call(batch.input_ids, mask, position_ids=batch.positions)

    def _call(self, ids: Tensor, mask: Tensor, **more: Tensor) -> Any:
        given = {"input_ids": ids, "attention_mask": mask, **more}
        on_device = {name: value.to(self.model.device) for name, value in given.items()}
        return self.model(**on_device, use_cache=False)

    def _head_parameters(self) -> int:
        return sum(p.numel() for p in self.model.get_output_embeddings().parameters())

    def _fingerprint(self, identity: str) -> dict[str, str]:
        import torch
        import transformers

        return {
            "weights": identity,
            "adapter": self.name,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            "attention": str(self.model.config._attn_implementation),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the mask `[rows, 1, length, length]` that every kernel adds to attention scores."""
    import torch

    mask = torch.zeros(visible.shape, dtype=dtype)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]


class _Entered(Exception):
    """Raised at the last block to end a forward pass early."""
