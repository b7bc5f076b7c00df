"""What the model families share: run a Hugging Face decoder block by block.

The model's own code makes masks and rotary embeddings; the adapter only decides which blocks run.
So it depends on no release's way of building them, and families whose blocks differ, such as those
with sliding attention, need no special case.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prunekit.core import (
    OWN_DTYPE,
    Batch,
    Checkpoint,
    CheckpointError,
    ModelFacts,
    Subset,
    readable,
)
from prunekit.plugins.models.head import Predictions

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["DecoderAdapter"]

Call = tuple[tuple[Any, ...], dict[str, Any]]
DEMO_MODELS = Path(__file__).parent / "demo-models"


@dataclass(frozen=True)
class DecoderState:
    """A hidden state between two blocks, and the other arguments of every block."""

    hidden: Tensor
    calls: tuple[Call, ...]


class DecoderAdapter:
    """Records once per batch how the model calls its blocks, then replays any of them."""

    name: ClassVar[str]
    demo: ClassVar[Path | None] = None

    def __init__(self, model: PreTrainedModel, identity: str) -> None:
        """`identity` says which weights these are: a commit, or a digest of the files."""
        self.model: Any = model.eval()  # type: ignore[no-untyped-call]
        self.model.requires_grad_(False)
        self.blocks: Any = self.model.get_decoder().layers
        sizes = tuple(sum(p.numel() for p in block.parameters()) for block in self.blocks)
        self.facts = ModelFacts(
            n_blocks=len(self.blocks),
            parameters=model.num_parameters(),
            block_parameters=sizes,
            fingerprint=self._fingerprint(identity),
        )

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """To be said by each family."""
        return 0

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str, dtype: str) -> DecoderAdapter:
        """Read safetensors weights; CheckpointError where any is missing or left over."""
        identity = checkpoint.identity()
        model: Any = _read(checkpoint, resolve_dtype(dtype, device, checkpoint.config()))
        return cls(model.to(device), identity)

    def enter(self, batch: Batch) -> DecoderState:
        """What goes into block 0: one forward in which every block passes its input on."""
        calls: list[Call] = []
        first: list[Tensor] = []

        def record(hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            first.append(hidden)
            calls.append((args, kwargs))
            return hidden

        with self._blocks_as(lambda index, run: record):
            self.model.get_decoder()(**self._inputs(batch), use_cache=False)
        return DecoderState(first[0], tuple(calls))

    def block(self, index: int, state: DecoderState) -> DecoderState:
        """Run one block with the arguments that the model gave it."""
        args, kwargs = state.calls[index]
        return replace(state, hidden=_hidden(self.blocks[index](state.hidden, *args, **kwargs)))

    def gated_block(self, index: int, state: DecoderState, gate: Tensor) -> DecoderState:
        """The same with what attention and feed-forward add multiplied by `gate`."""
        block = self.blocks[index]
        with _scaled(block.self_attn, gate), _scaled(block.mlp, gate):
            return self.block(index, state)

    def hidden(self, state: DecoderState) -> Tensor:
        """The hidden state itself, `[rows, length, width]`."""
        return state.hidden

    def output(self, state: DecoderState) -> Predictions:
        """Final norm and head, applied to chunks of positions when asked."""
        norm, head = self.model.get_decoder().norm, self.model.get_output_embeddings()
        words = self.model.config.vocab_size
        return Predictions(state.hidden, lambda hidden: head(norm(hidden)), words)

    def reference(self, batch: Batch, removed: Subset) -> Tensor:
        """Logits of the model's own forward, in which the removed blocks pass their input on."""
        with self.bypassing(removed) as model:
            logits: Tensor = model(**self._inputs(batch), use_cache=False).logits
        return logits

    @contextlib.contextmanager
    def bypassing(self, removed: Subset) -> Iterator[PreTrainedModel]:
        """The model itself, in which these blocks pass their input on for as long as it lasts."""

        def bypass(hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return hidden

        with self._blocks_as(lambda index, run: bypass if index in removed else run):
            yield self.model

    def without(self, removed: Subset) -> PreTrainedModel:
        """The model itself with these blocks gone, the others numbered anew for the cache."""
        import torch

        kept = [block for i, block in enumerate(self.blocks) if i not in removed]
        self.model.get_decoder().layers = torch.nn.ModuleList(kept)
        for index, block in enumerate(kept):
            block.self_attn.layer_idx = index
        _shorten(self.model.config, removed)
        shorter: PreTrainedModel = self.model
        return shorter

    @contextlib.contextmanager
    def _blocks_as(self, choose: Callable[[int, Callable[..., Any]], Any]) -> Iterator[None]:
        """Replace what each block does when the model calls it."""
        before = [vars(block).get("forward") for block in self.blocks]
        for index, block in enumerate(self.blocks):
            block.forward = choose(index, block.forward)
        try:
            yield
        finally:
            for block, forward in zip(self.blocks, before, strict=True):
                del block.forward
                if forward is not None:  # somebody else had replaced it already
                    block.forward = forward

    def _inputs(self, batch: Batch) -> dict[str, Tensor]:
        device = self.model.device
        return {
            "input_ids": batch.input_ids.to(device),
            "attention_mask": batch.attention_mask.to(device),
        }

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


def resolve_dtype(name: str, device: str, config: PretrainedConfig) -> torch.dtype:
    """`own` is the checkpoint's; `auto` is the same where the device runs it well, else float32."""
    import torch

    if name not in ("auto", OWN_DTYPE):
        return getattr(torch, name)  # type: ignore[no-any-return]
    own = config.get_text_config().dtype or torch.float32
    if isinstance(own, str):
        own = getattr(torch, own)
    return own if name == OWN_DTYPE or device != "cpu" or _cpu_runs(own) else torch.float32


def _cpu_runs(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies in `dtype`, instead of converting it at every step."""
    import torch

    able = torch.cpu.get_capabilities()
    return dtype is torch.bfloat16 and bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _read(checkpoint: Checkpoint, dtype: torch.dtype) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    with readable(checkpoint):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.source,
            revision=checkpoint.revision,
            trust_remote_code=checkpoint.trust_remote_code,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
        )
    model, report = loaded
    wrong = {k: sorted(map(str, v)) for k, v in report.items() if v}
    if wrong:
        what = "; ".join(f"{k.replace('_', ' ')}: {', '.join(v[:3])}" for k, v in wrong.items())
        raise CheckpointError(
            f"{checkpoint.source}: the weights do not fit the configuration ({what}); "
            "the checkpoint is damaged or belongs to another model"
        )
    whole: PreTrainedModel = model
    return whole


@contextlib.contextmanager
def _scaled(module: torch.nn.Module, gate: Tensor) -> Iterator[None]:
    """Multiply what a module returns by a gate for each row."""

    def scale(module: Any, args: Any, output: Any) -> Any:
        hidden = _hidden(output)
        scaled = (hidden * gate.to(hidden.device)[:, None, None]).to(hidden.dtype)
        return (scaled, *output[1:]) if isinstance(output, tuple) else scaled

    hook = module.register_forward_hook(scale)
    try:
        yield
    finally:
        hook.remove()


def _hidden(output: Any) -> Tensor:
    """Some families' blocks return more than the hidden state."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def _shorten(config: PretrainedConfig, removed: Subset) -> None:
    kinds = getattr(config, "layer_types", None)
    config.num_hidden_layers -= len(removed)
    if getattr(config, "max_window_layers", None) is not None:
        # So many first layers attend to everything; `layer_types` says the same and wins.
        config.max_window_layers -= sum(i < config.max_window_layers for i in removed)
    if kinds:
        config.layer_types = [kind for i, kind in enumerate(kinds) if i not in removed]


def rope_kind(config: PretrainedConfig) -> str:
    """How rotary embeddings are scaled: `default`, `llama3`, `linear`, ..."""
    parameters = getattr(config, "rope_parameters", None) or {}
    return str(parameters.get("rope_type", "default"))
