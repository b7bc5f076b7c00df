"""What a configuration says of single blocks, and how to say it of fewer blocks.

FIELDS is the table: every field of transformers' configurations that numbers, counts or lists
blocks, and the function that rewrites it. A list that is not in the table and has one entry for
each block is shortened like `layer_types`. Where the kept blocks cannot be put into words that the
family reads, UnfitModel says why; nothing is guessed.

The table alone proves nothing: `rebuild` makes a model of the new configuration and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.problem import Subset
from prunekit.hf.rewrites import (
    Fields,
    Kept,
    Rewrite,
    by_position,
    entry_by_number,
    entry_each,
    every,
    every_but,
    every_within,
    first,
    last,
    none_left,
    numbers,
    numbers_from_one,
    over_root_of_count,
    repeated,
    repeated_runs,
    source_each,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MOST_BLOCKS = 10_000
"""More are taken for a mistake, as making the configuration of a shorter model would not end."""

COUNTS = ("decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers", "num_blocks")
"""How families spell the number of blocks. The first that there is counts; some write it twice."""


FIELDS: Mapping[str, Rewrite] = {
    # lists with an entry for each block
    "activation_sparsity_pattern": entry_each,
    "attention_layers": entry_each,
    "attn_layers": entry_each,
    "indexer_types": entry_each,
    "intermediate_size": entry_each,
    "layer_rope_theta": entry_each,
    "layer_types": entry_each,
    "layers_block_type": entry_each,
    "mlp_layer_types": entry_each,
    "moe_layer_freq": entry_each,
    "moe_topk": entry_each,
    "no_rope_layers": entry_each,
    "num_attention_heads_per_layer": entry_each,
    # lists of blocks, and tables by block
    "attn_layer_indices": numbers,
    "cross_attention_layers": numbers,
    "full_attn_idxs": numbers,
    "hybrid_layer_ids": numbers,
    "kv_source_layers": source_each,
    "mlp_only_layers": numbers,
    "moe_layers": numbers,
    "per_layer_config": entry_by_number,
    "ple_layer_ids": numbers_from_one,
    "rope_scaling_layers": numbers,
    # numbers of first or last blocks
    "first_k_dense_replace": first,
    "max_window_layers": first,
    "num_dense_layers": first,
    "num_kv_shared_layers": last,
    "num_nextn_predict_layers": none_left,
    # cadences; those that are not here (`sliding_window_pattern`, `no_rope_layer_interval`,
    # `interleave_moe_layer_step`, ...) only fill in a list above where that is not given
    "attention_types": repeated_runs,
    "attn_layer_period": every("attn_layer_offset"),
    "block_types": repeated,
    "decoder_sparse_step": every_but("mlp_only_layers"),
    "expert_layer_period": every("expert_layer_offset"),
    "moe_layer_interval": every_within("moe_layer_start_index", "moe_layer_end_index"),
    # what a block computes from numbers
    "scale_attn_by_inverse_layer_idx": by_position,
    "scale_depth": over_root_of_count,
}

LISTS = (entry_each, numbers, repeated, repeated_runs)
"""What rewrites a field that is, or then becomes, a list of blocks or of what they are."""


def block_count(config: PretrainedConfig) -> int:
    """How many blocks a model of this configuration has; CheckpointError where it does not say."""
    text, _ = text_config(config)
    count = int(getattr(text, name := _count_name(text)))
    if not 1 <= count <= MOST_BLOCKS:
        raise CheckpointError(
            f"the configuration of model type {text.model_type!r} says {name} {count:,}; expected "
            f"1 to {MOST_BLOCKS:,}, so it is damaged"
        )
    return count


def without_blocks(config: PretrainedConfig, removed: Subset) -> PretrainedConfig:
    """The configuration of the same model without these blocks, as it reads when loaded again.

    Raises UnfitModel where that cannot be said. A nested text configuration is followed.
    """
    fields = config.to_dict()
    part, path = text_config(config)
    text = fields
    for name in path:
        text = text[name]
    text.update(rewritten(text, part, removed))
    pruned = type(config).from_dict(fields)
    reread: PretrainedConfig = type(config).from_dict(pruned.to_diff_dict())
    return reread


def listed_of_blocks(config: PretrainedConfig) -> dict[str, list[str]]:
    """What the configuration lists of each block, by field: its entry, or whether it is listed."""
    _, path = text_config(config)
    text = config.to_dict()
    for name in path:
        text = text[name]
    total = block_count(config)
    alone = [Kept((i,), total) for i in range(total)]
    lists = {name: rewrite for name, rewrite in FIELDS.items() if rewrite in LISTS}
    return {
        name: [repr(rewrite(name, text, kept)) for kept in alone]
        for name, rewrite in {**_unlisted(text, alone[0]), **lists}.items()
        if isinstance(text.get(name), list | tuple)
    }


def _unlisted(old: Fields, kept: Kept) -> dict[str, Rewrite]:
    """Fields that are not in the table and have an entry for each block."""
    return {name: entry_each for name in old if name not in FIELDS and _per_block(old[name], kept)}


def rewritten(old: Fields, config: PretrainedConfig, removed: Subset) -> Fields:
    """The fields of `old` that speak of blocks, as they are without the removed ones.

    `config` is the text configuration that `old` belongs to. Raises UnfitModel as above.
    """
    kept = Kept.without(removed, getattr(config, _count_name(config)))
    new: dict[str, Any] = {}
    for name, rewrite in {**_unlisted(old, kept), **FIELDS}.items():
        if old.get(name) is not None:
            new.update(rewrite(name, old, kept))
    counts = [name for name in count_names(config) if old.get(name) == kept.total]
    return {**new, **dict.fromkeys(counts, len(kept.blocks))}


def count_names(config: PretrainedConfig) -> list[str]:
    """How a family may spell the number of its blocks."""
    return [getattr(config, "attribute_map", {}).get(name, name) for name in COUNTS]


def _per_block(value: object, kept: Kept) -> bool:
    return isinstance(value, list) and len(value) == kept.total


def _count_name(config: PretrainedConfig) -> str:
    for name in COUNTS:
        if isinstance(getattr(config, name, None), int):
            return name
    raise CheckpointError(
        f"the configuration of model type {config.model_type!r} does not say how many blocks "
        f"there are: none of {', '.join(COUNTS)} is a number"
    )


def text_config(config: PretrainedConfig) -> tuple[PretrainedConfig, tuple[str, ...]]:
    """The part that describes the blocks, and where in the whole it stands."""
    text = config.get_text_config(decoder=True)
    path = _path(config, text)
    # Of encoder-decoder models of old, what is returned is a copy with other names.
    return (config, ()) if path is None else (text, path)


def _path(config: PretrainedConfig, wanted: PretrainedConfig) -> tuple[str, ...] | None:
    if config is wanted:
        return ()
    for name in getattr(config, "sub_configs", {}):
        part = getattr(config, name, None)
        below = _path(part, wanted) if part is not None else None
        if below is not None:
            return (name, *below)
    return None
