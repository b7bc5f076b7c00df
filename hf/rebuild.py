"""Make the pruned model as transformers itself makes it when it loads a checkpoint.

Deleting blocks from a model leaves behind what they, or the model, worked out from their number:
the place in a cache, the kind of attention, a scale. So nothing is deleted. A new model is made of
the shortened configuration and takes over the weights of the blocks that stay, without a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_path
from prunekit.hf.construction import Construction
from prunekit.hf.layer_fields import block_count

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def rebuild(model: PreTrainedModel, removed: Subset) -> PreTrainedModel:
    """A model without these blocks, ready for `save_pretrained`; it shares the weights of `model`.

    Raises UnfitModel where the configuration cannot say which blocks stay, where a block would be
    built otherwise at its new place, or where the weights do not fit.
    """
    kept = [i for i in range(block_count(model.config)) if i not in removed]
    config = Construction(type(model), model.config).shortened(removed)
    shorter = _loaded(model, config, dict(_renamed(model, kept)))
    shorter.generation_config = copy.deepcopy(model.generation_config)
    # How the layout in the checkpoint differs from that in memory: `save_pretrained` reads it.
    shorter._weight_conversions = getattr(model, "_weight_conversions", None)
    made: PreTrainedModel = shorter.eval()
    return made


def _loaded(model: PreTrainedModel, config: Any, weights: dict[str, Any]) -> Any:
    """As from a checkpoint with these weights, on the same device."""
    loaded: Any = type(model).from_pretrained(
        None,
        config=config,
        state_dict=weights,
        dtype=model.dtype,
        device_map=None if model.device.type == "cpu" else {"": model.device},
        output_loading_info=True,
    )
    made, report = loaded
    wrong = {kind: sorted(map(str, keys))[:3] for kind, keys in report.items() if keys}
    if wrong:
        raise UnfitModel(f"its weights do not fit a configuration without these blocks: {wrong}")
    return made


def new_name(name: str, path: str, kept: list[int]) -> str | None:
    """A weight's name with its block numbered anew, None where that block is gone.

    >>> new_name("model.layers.3.mlp.weight", "model.layers", [0, 3])
    'model.layers.1.mlp.weight'
    """
    if not name.startswith(f"{path}."):
        return name
    number, dot, rest = name.removeprefix(f"{path}.").partition(".")
    if not number.isdecimal():
        return name
    return f"{path}.{kept.index(int(number))}{dot}{rest}" if int(number) in kept else None


def _renamed(model: PreTrainedModel, kept: list[int]) -> Iterator[tuple[str, Any]]:
    path = block_path(model)
    for name, tensor in model.state_dict().items():
        new = new_name(name, path, kept)
        if new is not None:
            yield new, tensor
