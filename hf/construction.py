"""Build the pruned model just as transformers builds it when it loads a checkpoint.

Deleting blocks from a model would leave behind values that were derived from block indices: the
slot in a cache, the kind of attention, a scale. So nothing is deleted. A new model is built from
the shortened configuration and takes over the weights of the remaining blocks, without a copy.

Some properties of a block follow from its index without a field in the configuration: every fourth
has no rotary embedding, the first has no norm, a scale grows with depth. A checkpoint cannot keep
these for a block whose index changes, so both models are first built without weights and compared.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import UnfitModel, one_line
from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_count, block_path
from prunekit.hf.checkpoint import auto_class
from prunekit.hf.layer_fields import without_blocks
from prunekit.hf.runnable import runnable

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def rebuild(model: PreTrainedModel, removed: Subset) -> PreTrainedModel:
    """Return `model` without these blocks, ready for `save_pretrained`, sharing its weights.

    Raises UnfitModel if the configuration cannot express the remaining blocks, if a block would
    be built differently at its new index, or if the weights do not fit.
    """
    kept = [i for i in range(block_count(model.config)) if i not in removed]
    config = Construction(type(model), model.config).shortened(removed)
    shorter = _loaded(model, config, dict(_renamed(model, kept)))
    shorter.generation_config = copy.deepcopy(model.generation_config)
    # `save_pretrained` reads how the layout on disk differs from that in memory.
    shorter._weight_conversions = getattr(model, "_weight_conversions", None)
    made: PreTrainedModel = shorter.eval()
    return made


def _loaded(model: PreTrainedModel, config: Any, weights: dict[str, Any]) -> Any:
    """Build the model as from a checkpoint with these weights, on the same device."""
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
    """Return the name of a weight with its block renumbered; None if the block is removed.

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
"""Attributes with the cache slot of a sub-layer; some blocks have several."""


class Construction:
    """The models built from a configuration, whole and shortened; no weight is needed."""

    def __init__(self, cls: type[PreTrainedModel], config: PretrainedConfig) -> None:
        """Take the class `cls` of the model that has this configuration."""
        self.cls = cls
        self.config = config
        with runnable("it cannot be built without its weights"):
            self.whole = _built(cls, config)

    def shortened(self, removed: Subset) -> PretrainedConfig:
        """Return the configuration without these blocks, from which the others are built as before.

        Raises UnfitModel if the configuration cannot express the remaining blocks, or if one of
        them, or the rest of the model, would be built differently.
        """
        kept = [i for i in range(block_count(self.config)) if i not in removed]
        with runnable("its configuration cannot be shortened"):
            config = without_blocks(self.config, removed)
            _check_alike(self.whole, _built(self.cls, config), kept)
        return config


def removal_check(
    config: PretrainedConfig, trust_remote_code: bool = False
) -> Callable[[Subset], None] | None:
    """Return a function that raises UnfitModel for blocks that no checkpoint can lack.

    It reads the configuration only: a subset that passes may still be refused once the weights are
    loaded. Returns None if the model cannot be built without weights.
    """
    import torch

    try:
        with torch.device("meta"):
            cls = type(auto_class(config).from_config(config, trust_remote_code=trust_remote_code))
        made = Construction(cls, config)
    except Exception:  # any error of the model's own code; loading reports it
        return None

    def check(removed: Subset) -> None:
        _check_cache(cls, config, made.shortened(removed))

    return check


def _check_cache(
    cls: type[PreTrainedModel], before: PretrainedConfig, after: PretrainedConfig
) -> None:
    """Raise UnfitModel if no block is left that counts the tokens in the cache.

    Some families read the cache length from an attention block, so one of these must remain.
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
    """Raise UnfitModel unless `after` is `before` with only the blocks `kept`.

    Classes, shapes and plain attributes must be equal, except for the index of a block and the
    number of blocks, which only describe its position.
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
                    f"block {old} would {place}be built differently: its `{name}` is {was!r}, "
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
    """Yield the attributes that the constructor of a block chose."""
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
