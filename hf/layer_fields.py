"""Rewrite the per-block fields of a configuration for fewer blocks.

FIELDS maps every field of transformers' configurations that numbers, counts or lists blocks to the
function that rewrites it. A list that is not in the table and has one entry per block is shortened
like `layer_types`. If the fields of a family cannot express the kept blocks, UnfitModel is raised
with the reason; nothing is guessed.

The table alone proves nothing: `rebuild` builds a model from the new configuration and compares.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_count, count_names, text_config

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Fields: TypeAlias = Mapping[str, Any]
Rewrite: TypeAlias = "Callable[[str, Fields, Kept], Fields]"
"""Maps a field's name, all old fields and the kept blocks to the changed fields."""


@dataclass(frozen=True)
class Kept:
    """The blocks to keep, by their old indices, out of `total`."""

    blocks: tuple[int, ...]
    total: int

    @classmethod
    def without(cls, removed: Subset, total: int) -> Kept:
        """Keep all but the removed ones."""
        return cls(tuple(i for i in range(total) if i not in removed), total)

    def number(self, block: int) -> int | None:
        """Return the new index of a block; None if it is removed."""
        return self.blocks.index(block) if block in self.blocks else None

    def numbers(self, blocks: Iterable[int]) -> list[int]:
        """Return the new indices of the kept ones among `blocks`."""
        return [new for new in map(self.number, blocks) if new is not None]


def entry_each(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a list with one entry per block, and perhaps more for layers after the last."""
    value = old[name]
    if not isinstance(value, list | tuple) or len(value) < kept.total:
        return {}
    return {name: [value[i] for i in kept.blocks] + list(value[kept.total :])}


def numbers(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a list of block indices."""
    return {name: kept.numbers(old[name])}


def numbers_from_one(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a list of block indices that count from 1."""
    return {name: [i + 1 for i in kept.numbers(i - 1 for i in old[name])]}


def source_each(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a list with the source block of each block; sources must be kept."""
    sources = [kept.number(old[name][i]) for i in kept.blocks]
    if None in sources:
        raise _inexpressible(name, "a block that stays takes from one that is removed")
    return {name: sources}


def entry_by_number(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a mapping from block indices to overrides."""
    entries = {int(key): value for key, value in old[name].items()}
    return {name: {new: entries[i] for new, i in enumerate(kept.blocks) if i in entries}}


def first(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a number of first blocks; a number beyond the last block still means all."""
    return {name: sum(i < old[name] for i in kept.blocks)} if old[name] <= kept.total else {}


def last(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a number of last blocks."""
    return {name: sum(i >= kept.total - old[name] for i in kept.blocks)}


def none_left(name: str, old: Fields, kept: Kept) -> Fields:
    """Set the number of layers after the last block to 0: transformers does not load them."""
    return {name: 0}


def every(offset: str) -> Rewrite:
    """Rewrite a period and an offset: the blocks i with i % period == offset."""

    def rewrite(name: str, old: Fields, kept: Kept) -> Fields:
        chosen = [i % old[name] == old[offset] for i in kept.blocks]
        n = len(kept.blocks)
        for period in (old[name], *range(1, n + 2)):
            for start in range(period):
                if chosen == [i % period == start for i in range(n)]:
                    return {name: period, offset: start}
        raise _inexpressible(name, "the blocks of this kind that stay are not at equal distances")

    return rewrite


def every_within(start: str, end: str) -> Rewrite:
    """Rewrite an interval: the blocks i from `start` to `end` with (i + 1) % interval == 0."""

    def rewrite(name: str, old: Fields, kept: Kept) -> Fields:
        first_one, last_one = old[start], old[end]
        chosen = [i % old[name] == old[name] - 1 for i in range(kept.total)]
        wanted = [first_one <= i <= last_one and chosen[i] for i in kept.blocks]
        places = [i for i, is_chosen in enumerate(wanted) if is_chosen]
        low, high = (places[0], places[-1]) if places else (1, 0)
        for interval in (old[name], *range(1, len(wanted) + 1)):
            found = [low <= i <= high and (i + 1) % interval == 0 for i in range(len(wanted))]
            if found == wanted:
                return {name: interval, start: low, end: high}
        raise _inexpressible(name, "the blocks of this kind that stay are not at equal distances")

    return rewrite


def every_but(exceptions: str) -> Rewrite:
    """Rewrite a step: the blocks i with (i + 1) % step == 0 that are not in `exceptions`."""

    def rewrite(name: str, old: Fields, kept: Kept) -> Fields:
        chosen = [
            (i + 1) % old[name] == 0 and i not in (old.get(exceptions) or []) for i in kept.blocks
        ]
        return {name: 1, exceptions: [new for new, yes in enumerate(chosen) if not yes]}

    return rewrite


def repeated(name: str, old: Fields, kept: Kept) -> Fields:
    """Write out a pattern that repeats up to the last block, for the kept blocks."""
    pattern = itertools.cycle(old[name])
    kinds = list(itertools.islice(pattern, kept.total))
    return {name: [kinds[i] for i in kept.blocks]}


def repeated_runs(name: str, old: Fields, kept: Kept) -> Fields:
    """Rewrite a list of patterns with their numbers of repetitions."""
    kinds = [kind for pattern, times in old[name] for kind in list(pattern) * times]
    return {name: [[[kinds[i] for i in kept.blocks], 1]]}


def over_root_of_count(name: str, old: Fields, kept: Kept) -> Fields:
    """Adjust a scale that the model divides by the square root of the number of blocks."""
    return {name: old[name] * math.sqrt(len(kept.blocks) / kept.total)}


def by_position(name: str, old: Fields, kept: Kept) -> Fields:
    """Require unchanged indices if the flag is set, as blocks then compute with their own."""
    if old[name] and kept.blocks != tuple(range(len(kept.blocks))):
        raise _inexpressible(name, "every block computes with its number; only the last can go")
    return {}


def _inexpressible(name: str, reason: str) -> UnfitModel:
    return UnfitModel(f"the configuration's `{name}` cannot say which blocks stay: {reason}")


FIELDS: Mapping[str, Rewrite] = {
    # lists with one entry per block
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
    # cadences; those not listed here (`sliding_window_pattern`, `no_rope_layer_interval`,
    # `interleave_moe_layer_step`, ...) only fill in a list above if it is missing
    "attention_types": repeated_runs,
    "attn_layer_period": every("attn_layer_offset"),
    "block_types": repeated,
    "decoder_sparse_step": every_but("mlp_only_layers"),
    "expert_layer_period": every("expert_layer_offset"),
    "moe_layer_interval": every_within("moe_layer_start_index", "moe_layer_end_index"),
    # used in the forward pass of a block
    "scale_attn_by_inverse_layer_idx": by_position,
    "scale_depth": over_root_of_count,
}

LISTS = (entry_each, numbers, repeated, repeated_runs)
"""Rewrites of fields that are, or become, a list of blocks or of their kinds."""


def without_blocks(config: PretrainedConfig, removed: Subset) -> PretrainedConfig:
    """Return the configuration without these blocks, as it reads when loaded again.

    Raises UnfitModel if it cannot be expressed. A nested text configuration is followed.
    """
    fields = config.to_dict()
    part, path = text_config(config)
    text = functools.reduce(dict.__getitem__, path, fields)
    text.update(rewritten(text, part, removed))
    pruned = type(config).from_dict(fields)
    reread: PretrainedConfig = type(config).from_dict(pruned.to_diff_dict())
    return reread


def listed_of_blocks(config: PretrainedConfig) -> dict[str, list[str]]:
    """Return by field a text for each block, equal for equal blocks: the `repr` of its entry."""
    _, path = text_config(config)
    text = functools.reduce(dict.__getitem__, path, config.to_dict())
    total = block_count(config)
    alone = [Kept((i,), total) for i in range(total)]
    lists = {name: rewrite for name, rewrite in FIELDS.items() if rewrite in LISTS}
    return {
        name: [repr(rewrite(name, text, kept)) for kept in alone]
        for name, rewrite in {**_unlisted(text, alone[0]), **lists}.items()
        if isinstance(text.get(name), list | tuple)
    }


def _unlisted(old: Fields, kept: Kept) -> dict[str, Rewrite]:
    """Return the fields that are not in the table but have one entry per block."""
    return {
        name: entry_each
        for name, value in old.items()
        if name not in FIELDS and isinstance(value, list) and len(value) == kept.total
    }


def rewritten(old: Fields, config: PretrainedConfig, removed: Subset) -> Fields:
    """Return the per-block fields of `old`, rewritten without the removed blocks.

    `config` is the text configuration that `old` belongs to. Raises UnfitModel as above.
    """
    kept = Kept.without(removed, block_count(config))
    new: dict[str, Any] = {}
    for name, rewrite in {**_unlisted(old, kept), **FIELDS}.items():
        if old.get(name) is not None:
            new.update(rewrite(name, old, kept))
    counts = [name for name in count_names(config) if old.get(name) == kept.total]
    return {**new, **dict.fromkeys(counts, len(kept.blocks))}
