"""Make the pruned model as transformers itself makes it when it loads a checkpoint.

Deleting blocks from a model leaves behind what they, or the model, worked out from their number:
the place in a cache, the kind of attention, a scale. So nothing is deleted. A new model is made of
the shortened configuration and takes over the weights of the blocks that stay, without a copy.

Much of a block follows from its number without a line in the configuration: every fourth has no
rotary embedding, the first has no norm, a scale grows with depth. A checkpoint cannot keep such
things for a block that gets another number, so both models are first built without weights and
compared.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel, one_line
from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_count, block_path
from prunekit.hf.checkpoint import auto_class, runnable
from prunekit.hf.layer_fields import without_blocks

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def rebuild(model: PreTrainedModel, removed: Subset) -> PreTrainedModel:
    """A model without these blocks, ready for `save_pretrained`; it shares the weights of `model`.

    Raises UnfitModel if the configuration cannot say which blocks stay, if a block would be
    built otherwise at its new place, or if the weights do not fit.
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


PLACES = ("layer_idx", "layer_id", "layer_index", "layer_number", "block_idx")
"""Attributes that say where in the cache a sub-layer writes; some blocks have several places."""


class Construction:
    """The models built from a configuration, whole and shortened; no weight is needed."""

    def __init__(self, cls: type[PreTrainedModel], config: PretrainedConfig) -> None:
        """`cls` is the class of the model of this configuration."""
        self.cls = cls
        self.config = config
        with runnable("it cannot be built without its weights"):
            self.whole = _built(cls, config)

    def shortened(self, removed: Subset) -> PretrainedConfig:
        """The configuration without these blocks, of which the others are built as before.

        Raises UnfitModel if the configuration cannot say which blocks stay, or if one of
        them, or what is around them, would be built otherwise.
        """
        kept = [i for i in range(block_count(self.config)) if i not in removed]
        with runnable("its configuration cannot be shortened"):
            config = without_blocks(self.config, removed)
            _check_alike(self.whole, _built(self.cls, config), kept)
        return config


def removal_check(
    config: PretrainedConfig, trust_remote_code: bool = False
) -> Callable[[Subset], None] | None:
    """A function that raises UnfitModel for blocks without which no checkpoint can be written.

    It reads the configuration alone: what it lets pass may still be refused once there are weights.
    None where the model cannot be built without weights, so that nothing can be said before.
    """
    import torch

    try:
        with torch.device("meta"):
            cls = type(auto_class(config).from_config(config, trust_remote_code=trust_remote_code))
        made = Construction(cls, config)
    except Exception:  # whatever a model's own code raises: loading it says what is wrong
        return None

    def check(removed: Subset) -> None:
        _check_cache(cls, config, made.shortened(removed))

    return check


def _check_cache(
    cls: type[PreTrainedModel], before: PretrainedConfig, after: PretrainedConfig
) -> None:
    """Raise UnfitModel if no block is left that counts the tokens in a cache, and the model asks.

    Some families ask a block that attends, so the last such block cannot go.
    """
    import torch
    from transformers import DynamicCache

    def error_of(config: PretrainedConfig, act: Callable[[Any], object]) -> str:
        try:
            act(DynamicCache(config=config))
        except Exception as error:
            return one_line(error)
        return ""

    def generate(cache: Any) -> None:
        ids = torch.zeros(1, 2, dtype=torch.long, device="meta")
        _built(cls, after)(input_ids=ids, past_key_values=cache, use_cache=True)

    wrong = error_of(after, lambda cache: cache.get_seq_length())
    asked = wrong and not error_of(before, lambda cache: cache.get_seq_length())
    if asked and error_of(after, generate) == wrong:
        raise UnfitModel("no block is left that counts the tokens in a cache")


def _check_alike(before: Any, after: Any, kept: list[int]) -> None:
    """Raise UnfitModel unless `after` has the blocks `kept` of `before`, and the same around them.

    Classes, shapes and plain attributes must be the same, but for the block's own number and the
    number of blocks, which only say where it is.
    """
    path = block_path(before)
    old_blocks, new_blocks = (m.get_submodule(path) for m in (before, after))
    if len(new_blocks) != len(kept):
        raise UnfitModel(f"a model of its shortened configuration has {len(new_blocks)} blocks")
    counts = (len(old_blocks), len(new_blocks))
    for new, old in enumerate(kept):
        for name, was, would_be in _differences(old_blocks[old], new_blocks[new]):
            if (was, would_be) not in ((old, new), counts):
                place = "" if new == old else f"become block {new} and "
                raise UnfitModel(
                    f"block {old} would {place}be built otherwise: its `{name}` is {was!r}, "
                    f"and would be {would_be!r}"
                )
    for name, weight in before.named_parameters():
        shape = _shape(after, name)
        if not name.startswith(f"{path}.") and shape != weight.shape:
            raise UnfitModel(f"`{name}` is {tuple(weight.shape)}, and would be {shape}")


def _built(cls: type[PreTrainedModel], config: PretrainedConfig) -> Any:
    import torch

    with torch.device("meta"):
        return cls(copy.deepcopy(config))


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
    """The choices that the constructor of a block made."""
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
