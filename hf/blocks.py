"""Find the blocks of a model: their number in the configuration, their list in the modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MOST_BLOCKS = 10_000
"""Higher counts are treated as damage: building a configuration that long would not end."""

COUNTS = ("decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers", "num_blocks")
"""Names of the number of blocks. The first one present counts; some configurations have two."""


def block_count(config: PretrainedConfig) -> int:
    """Return the number of blocks. Raises CheckpointError if the configuration does not say."""
    text, _ = text_config(config)
    name, count = _count(text)
    if not 1 <= count <= MOST_BLOCKS:
        raise CheckpointError(
            f"the configuration of model type {text.model_type!r} says {name} {count:,}; expected "
            f"1 to {MOST_BLOCKS:,}, so it is damaged"
        )
    return count


def field_of(config: PretrainedConfig, name: str) -> Any:
    """Return a field of a configuration, whatever its family calls it; None if it has none."""
    return getattr(config, name, None)


def count_names(config: PretrainedConfig) -> list[str]:
    """Return the fields in which a family may store its number of blocks."""
    return [config.attribute_map.get(name, name) for name in COUNTS]


def _count(config: PretrainedConfig) -> tuple[str, int]:
    for name in COUNTS:
        if isinstance(count := field_of(config, name), int):
            return name, count
    raise CheckpointError(
        f"the configuration of model type {config.model_type!r} does not say how many blocks "
        f"there are: none of {', '.join(COUNTS)} is a number"
    )


def text_config(config: PretrainedConfig) -> tuple[PretrainedConfig, tuple[str, ...]]:
    """Return the part that describes the blocks, and its path in the whole configuration."""
    text = config.get_text_config(decoder=True)
    path = _path(config, text)
    # For old encoder-decoder models, this returns a copy with other names.
    return (config, ()) if path is None else (text, path)


def _path(config: PretrainedConfig, wanted: PretrainedConfig) -> tuple[str, ...] | None:
    if config is wanted:
        return ()
    for name in config.sub_configs:
        part = field_of(config, name)
        below = _path(part, wanted) if part is not None else None
        if below is not None:
            return (name, *below)
    return None


def block_path(model: Any) -> str:
    """Return the path of the blocks in the model: `model.layers`, `transformer.h`, ...

    That is the outermost ModuleList with as many members as the configuration has blocks, inside
    the text decoder if the model has a separate one. Raises CheckpointError if it is missing.
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
