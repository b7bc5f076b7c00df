"""Find the list of blocks in a model of transformers."""

from __future__ import annotations

from typing import Any

from prunekit.core.errors import CheckpointError
from prunekit.hf.layer_fields import block_count


def block_path(model: Any) -> str:
    """Where in the model its blocks are: `model.layers`, `transformer.h`, ...

    That is the outermost ModuleList with as many members as the configuration names blocks, in the
    text decoder where the model has one apart. CheckpointError where there is none.
    """
    import torch

    n = block_count(model.config)
    inside = {id(module) for module in _decoder(model).modules()}
    lists = [
        (id(module) not in inside, path.count("."), path)
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n
    ]
    if not lists:
        raise CheckpointError(
            f"{type(model).__name__} holds no list of its {n} blocks, so none can be removed"
        )
    *_, path = min(lists)
    return str(path)


def _decoder(model: Any) -> Any:
    decoder = model.get_decoder()
    return model if decoder is None else decoder
