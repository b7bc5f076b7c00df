"""Count the parameters of a model, without its weights where only the configuration is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.hf.blocks import block_path
from prunekit.hf.checkpoint import auto_class
from prunekit.hf.unreadable import first_line

if TYPE_CHECKING:
    from torch.nn import Module, Parameter
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class ParameterCounts:
    """The parameters of a model, and those that it reads to decode one token."""

    total: int
    of_blocks: tuple[int, ...]
    """removed with each block; those shared with another block stay"""
    read_by_blocks: tuple[int, ...]
    """by each block, those shared with another block too"""
    read_besides: int
    """by everything else; embeddings count only where they are the head"""
    has_experts: bool
    """whether a token reads only some of the parameters of a block"""

    @property
    def read(self) -> int:
        """The parameters read for one token of the dense model."""
        return self.read_besides + sum(self.read_by_blocks)

    def speedup(self, removed: Iterable[int]) -> float | None:
        """Predict how many times as fast decoding is without these blocks.

        It waits for the parameters that it reads. None for experts, of which a token reads some.
        """
        if self.has_experts:
            return None
        return self.read / (self.read - sum(self.read_by_blocks[i] for i in removed))


def count_parameters(
    config: PretrainedConfig, trust_remote_code: bool = False, name: str = "the model"
) -> ParameterCounts:
    """Count those of a model made without weights. Raises CheckpointError if it cannot be made."""
    import torch

    try:
        with torch.device("meta"):
            made: Any = auto_class(config).from_config(config, trust_remote_code=trust_remote_code)
        return _counts(made)
    except Exception as error:
        raise CheckpointError(
            f"{name}: its parameters cannot be counted: {first_line(error)}"
        ) from error


def own_parameters(blocks: Sequence[Module]) -> tuple[int, ...]:
    """Count the parameters removed with each block; those shared with another block stay."""
    within = [_distinct(block.parameters()) for block in blocks]
    owners = Counter(key for block in within for key in block)
    return tuple(sum(p.numel() for key, p in block.items() if owners[key] == 1) for block in within)


def _counts(model: Any) -> ParameterCounts:
    blocks = list(model.get_submodule(block_path(model)))
    in_blocks = {id(p) for block in blocks for p in block.parameters()}
    head = model.get_output_embeddings()
    of_head = _distinct(head.parameters()) if head is not None else {}
    besides = _distinct(_read(model.get_decoder() or model)) | of_head
    return ParameterCounts(
        total=int(model.num_parameters()),
        of_blocks=own_parameters(blocks),
        read_by_blocks=tuple(_size(_distinct(_read(block))) for block in blocks),
        read_besides=_size({key: p for key, p in besides.items() if key not in in_blocks}),
        has_experts=any("expert" in name for name, _ in model.named_parameters()),
    )


def _read(module: Module) -> Iterator[Parameter]:
    """Yield the parameters that a token reads, thus not those of embeddings: one row is nothing."""
    import torch

    for part in module.modules():
        if not isinstance(part, torch.nn.Embedding):
            yield from part.parameters(recurse=False)


def _distinct(parameters: Iterable[Parameter]) -> dict[int, Parameter]:
    return {id(p): p for p in parameters}


def _size(parameters: dict[int, Parameter]) -> int:
    return sum(p.numel() for p in parameters.values())
