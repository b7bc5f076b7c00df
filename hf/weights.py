"""Write the weights of a pruned model from the checkpoint's own files, shard by shard.

Tensors keep the names, the dtype and the layout in which they were published; only block indices
change. So at most one shard is in memory beside the model, and programs that read the original can
read the result. Saving the model in memory would first convert it back into the published layout if
that differs: for a mixture of experts, that is a second copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_count, block_path
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.construction import new_name
from prunekit.hf.tensors import INDEX, StoredTensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHARD_BYTES = 5 * 10**9
"""Maximum size of a file, and of the tensors in memory at a time."""
FILES = "model{suffix}.safetensors"
NUMBERED = re.compile(r"(.*?)\.(\d+)\.")


def write_weights(
    model: Any,
    checkpoint: Checkpoint,
    removed: Subset,
    folder: Path,
    dtype: torch.dtype | None,
    changed: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write the weights of `model`, which is `checkpoint` without the blocks `removed`.

    With a dtype, tensors in the checkpoint's own dtype are converted to it. The weights `changed`
    are in `model`, but not in the checkpoint. If the names in the files do not identify the weights
    of a block, or those changed, those of `model` itself are saved.
    """
    weights = _without_blocks(checkpoint.tensors(), model, removed)
    if not weights or not changed.keys() <= weights.keys() or _shares_between_blocks(model):
        _save(model, folder)
        return
    own = checkpoint.dtype()
    _write_shards(
        weights,
        folder,
        lambda stored: dtype if dtype is not None and stored == own else stored,
        changed,
    )


def changed_weights(model: Any, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the weights in which a model differs from a checkpoint of as many blocks.

    They have the names in its files, or those in the model where it has none of them.
    """
    stored, state = checkpoint.tensors(), model.state_dict()
    written = {tensor.data_ptr() for name, tensor in state.items() if name in stored}
    return {
        name: tensor
        for name, tensor in state.items()
        if (_differs(tensor, stored[name]) if name in stored else tensor.data_ptr() not in written)
    }


def _differs(tensor: Tensor, stored: StoredTensor) -> bool:
    import torch

    before = _tensor(stored)
    return not torch.equal(tensor.to(before), before)


def _without_blocks(
    stored: Mapping[str, StoredTensor], model: Any, removed: Subset
) -> dict[str, StoredTensor] | None:
    """Return the remaining tensors by their new names; None if names do not identify blocks.

    Extra layers after the last block, for multi-token prediction, are dropped.
    """
    left = block_count(model.config)
    kept = [i for i in range(left + len(removed)) if i not in removed]
    prefix = _prefix(stored, block_path(model).rpartition(".")[-1], left + len(removed))
    if prefix is None:
        return None
    renamed = {new_name(name, prefix, kept): tensor for name, tensor in stored.items()}
    return {name: tensor for name, tensor in renamed.items() if name is not None}


def _prefix(names: Iterable[str], leaf: str, n_blocks: int) -> str | None:
    """Return the name prefix of the blocks; None if two lists of modules match."""
    numbers: dict[str, set[int]] = {}
    for name in names:
        found = NUMBERED.match(name)
        if found and found[1].rpartition(".")[-1] == leaf:
            numbers.setdefault(found[1], set()).add(int(found[2]))
    lists = [prefix for prefix, seen in numbers.items() if seen >= set(range(n_blocks))]
    return lists[0] if len(lists) == 1 else None


def _shares_between_blocks(model: Any) -> bool:
    """Return True if blocks share a weight, which is stored for the first of them only."""
    blocks = model.get_submodule(block_path(model))
    owned = [id(p) for block in blocks for p in {id(p): p for p in block.parameters()}.values()]
    return len(set(owned)) < len(owned)


def _save(model: Any, folder: Path) -> None:
    """Save the weights only; the other files are copied from the source."""
    model.save_pretrained(folder, max_shard_size=SHARD_BYTES)
    for path in folder.iterdir():
        if not path.name.endswith((".safetensors", INDEX)):
            path.unlink()


def _write_shards(
    weights: Mapping[str, StoredTensor],
    folder: Path,
    convert: Callable[[torch.dtype], torch.dtype],
    changed: Mapping[str, Tensor],
) -> None:
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    split = split_state_dict_into_shards_factory(
        dict(weights),
        get_storage_size=lambda tensor: tensor.size,
        filename_pattern=FILES,
        max_shard_size=SHARD_BYTES,
    )
    for file, names in split.filename_to_tensors.items():
        shard = {name: _tensor(weights[name]) for name in names}
        shard = {name: tensor.to(convert(tensor.dtype)) for name, tensor in shard.items()}
        shard |= {name: changed[name].to(shard[name]) for name in names if name in changed}
        save_file(shard, folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (folder / INDEX).write_text(text, encoding="utf-8")


def _tensor(stored: StoredTensor) -> Tensor:
    from safetensors import safe_open

    with safe_open(stored.file, framework="pt") as file:
        tensor: Tensor = file.get_tensor(stored.name)
    return tensor
