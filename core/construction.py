"""Whether transformers builds the blocks that stay as it built them before.

Much of a block follows from its number without a line in the configuration: every fourth has no
rotary embedding, the first has no norm, a scale grows with depth. A checkpoint cannot keep such
things for a block that gets another number, so they are looked for before one is written.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.blocks import block_path
from prunekit.core.errors import UnfitModel

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


PLACES = ("layer_idx", "layer_id", "layer_index", "layer_number", "block_idx")
"""Attributes that say where in the cache a sub-layer writes; some blocks have several places."""


def check_built_alike(model: PreTrainedModel, config: PretrainedConfig, kept: list[int]) -> None:
    """Raise UnfitModel unless a model of `config` has the blocks `kept`, and the same around them.

    Both models are built without weights. Classes, shapes and plain attributes must be the same,
    but for the block's own number and the number of blocks, which only say where it is.
    """
    before, after = (_built(model, c) for c in (model.config, config))
    path = block_path(before)
    old_blocks, new_blocks = (m.get_submodule(path) for m in (before, after))
    if len(new_blocks) != len(kept):
        raise UnfitModel(f"a model of its shortened configuration has {len(new_blocks)} blocks")
    counts = (len(old_blocks), len(new_blocks))
    for new, old in enumerate(kept):
        for name, was, would_be in _differences(old_blocks[old], new_blocks[new]):
            if (was, would_be) not in ((old, new), counts):
                raise UnfitModel(
                    f"block {old} would become block {new} and be built otherwise there: its "
                    f"`{name}` is {was!r}, and would be {would_be!r}"
                )
    for name, weight in before.named_parameters():
        shape = _shape(after, name)
        if not name.startswith(f"{path}.") and shape != weight.shape:
            raise UnfitModel(f"`{name}` is {tuple(weight.shape)}, and would be {shape}")


def _built(model: PreTrainedModel, config: PretrainedConfig) -> Any:
    import torch

    with torch.device("meta"):
        return type(model)(copy.deepcopy(config))


def _differences(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    before, after = (dict(_choices(block)) for block in (one, other))
    for name in before | after:
        was, would_be = before.get(name), after.get(name)
        if name.rpartition(".")[-1] not in PLACES and not _equal(was, would_be):
            yield name, was, would_be


def _equal(one: Any, other: Any) -> bool:
    both_float = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other) if both_float else bool(one == other)


def _choices(block: Any) -> Iterator[tuple[str, Any]]:
    """What the constructor of a block chose."""
    for path, module in block.named_modules():
        yield path or "class", type(module).__name__
        for name, value in vars(module).items():
            if isinstance(value, bool | int | float | str):
                yield f"{path}.{name}".lstrip("."), value
        for name, weight in module.named_parameters(recurse=False):
            yield f"{path}.{name}".lstrip("."), tuple(weight.shape)


def _shape(model: Any, name: str) -> tuple[int, ...] | None:
    try:
        return tuple(model.get_parameter(name).shape)
    except AttributeError:
        return None
