"""Which weights are trained, and which a student shares with its teacher."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError, one_line
from prunekit.core.problem import Subset
from prunekit.engine.training import Training
from prunekit.hf.blocks import block_count, block_path

if TYPE_CHECKING:
    from torch import Tensor

INSTALL = "pip install 'prunekit[heal]'"


def check_installed(method: str) -> None:
    """Raise ConfigError if LoRA is to be trained and its library is missing."""
    from importlib.util import find_spec

    if method == "lora" and find_spec("peft") is None:
        raise ConfigError(
            f"LoRA needs the package peft, which is not installed: {INSTALL}, or train --last 3 "
            "or --full"
        )


def mark_trained(model: Any, training: Training) -> None:
    """Let nothing but what is trained require a gradient, and hold that in float32.

    With LoRA that is nothing yet. Raises ConfigError if there are fewer blocks.
    """
    model.requires_grad_(False)
    for part in [] if training.method == "lora" else _parts(model, training.last):
        for weight in part.parameters():
            weight.data = weight.data.float()
            weight.requires_grad_(True)


def with_lora(model: Any, rank: int, seed: int) -> Any:
    """Return the model with LoRA (arXiv 2106.09685) on all its projections.

    At first it changes nothing. Raises ConfigError if no projection can take it, or if the rank is
    above the width of the model.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    width = model.config.get_text_config().hidden_size
    if rank > width:
        raise ConfigError(f"--rank {rank:,}: the model is {width:,} wide; give less", ("rank",))
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(
            f"{model.name_or_path} has no projections that take LoRA ({one_line(error)}); "
            "train --last 3 or --full"
        ) from error


def _parts(model: Any, last: int | None) -> list[Any]:
    if last is None:
        return [model]
    n_blocks = block_count(model.config)
    if last > n_blocks:
        raise ConfigError(
            f"--last {last}: {n_blocks} blocks are left; give fewer, or --full", ("last",)
        )
    blocks = model.get_submodule(block_path(model))
    return [*blocks[n_blocks - last :], model.get_output_embeddings()]


def trained_weights(model: Any) -> dict[str, Tensor]:
    """Return what is trained, by its name; weights under two names by the first."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def share_weights(student: Any, dense: Any, removed: Subset) -> int:
    """Let the student hold the dense model's weights where it does not train, and they are equal.

    `dense` has all blocks, and `student`, a model without LoRA, those that are not `removed`.
    Returns the bytes that are now held once.
    """
    path = block_path(dense)
    kept = [i for i in range(block_count(dense.config)) if i not in removed]
    others = dict(dense.named_parameters())
    spared = 0
    for name, weight in student.named_parameters():
        twin = others.get(_name_in_dense(name, path, kept))
        if not weight.requires_grad and twin is not None and _equal(weight, twin):
            weight.data = twin.data
            spared += weight.nbytes
    return spared


def _name_in_dense(name: str, path: str, kept: list[int]) -> str:
    """Return a weight's name in the dense model, whose blocks at `path` have other numbers.

    >>> _name_in_dense("model.layers.1.mlp.weight", "model.layers", [0, 2])
    'model.layers.2.mlp.weight'
    """
    found = re.fullmatch(rf"{re.escape(path)}\.(\d+)\.(.*)", name)
    return f"{path}.{kept[int(found[1])]}.{found[2]}" if found else name


def _equal(one: Tensor, other: Tensor) -> bool:
    import torch

    same_kind = one.dtype == other.dtype and one.device == other.device
    return same_kind and torch.equal(one, other)
