"""Repeating patterns of block kinds, as when every sixth block has full attention.

The configuration lists the kind of every block, and an export lists it for the remaining blocks.
Some programs ignore that list and compute the kind from the index. They run the pruned model
correctly only if its kinds still follow the pattern of the dense model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunekit.core.problem import Subset
from prunekit.hf.blocks import block_count, count_names, text_config
from prunekit.hf.layer_fields import listed_of_blocks, without_blocks

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ELSEWHERE = (
    "transformers reads each block's kind from config.json, but what computes it from the block's "
    "number runs another model: llama.cpp for most families with sliding windows or with rotary "
    "positions in some blocks only, vLLM and SGLang for the experts of Llama 4"
)


LONG = 60
"""Number of blocks that is enough to show the pattern of any family."""


@dataclass(frozen=True)
class Pattern:
    """The fields in which a configuration lists repeating kinds of blocks."""

    kinds: Mapping[str, Sequence[str]]
    """by field, the kind of each block"""
    period: int
    """the number of blocks after which all fields repeat"""
    config: PretrainedConfig = field(repr=False, compare=False)

    def broken_by(self, removed: Subset) -> list[str]:
        """Return the fields in which the remaining blocks do not have the kinds of their indices.

        The kind of an index is the one that the family's configuration fills in if none are listed,
        otherwise that of the dense model.
        """
        shorter = without_blocks(self.config, removed)
        listed = listed_of_blocks(shorter)
        computed = _computed(shorter, block_count(shorter))
        return [
            name
            for name, kinds in self.kinds.items()
            if listed[name] != computed.get(name, list(kinds[: len(listed[name])]))
        ]


def pattern_of(config: PretrainedConfig) -> Pattern | None:
    """Return the pattern of a model's blocks; None if all are alike or follow no pattern.

    A model that is too short to show it, or was pruned before, has that of its family.
    """
    listed, long = listed_of_blocks(config), _computed(config, LONG)
    periods = {
        # the last block is left out: some families give it a kind of its own
        name: period(long.get(name, [])[:-1]) or period(kinds) or 1
        for name, kinds in listed.items()
    }
    kinds = {name: listed[name] for name, length in periods.items() if length > 1}
    return Pattern(kinds, math.lcm(*(periods[name] for name in kinds)), config) if kinds else None


def kinds_of_blocks(config: PretrainedConfig) -> list[str]:
    """Return the fields in which a configuration distinguishes blocks."""
    return [name for name, kinds in listed_of_blocks(config).items() if len(set(kinds)) > 1]


def _computed(config: PretrainedConfig, n_blocks: int) -> dict[str, list[str]]:
    """Return the kinds that the family fills in for a model of this length, if any."""
    text, _ = text_config(config)
    fields = {k: v for k, v in text.to_dict().items() if k not in listed_of_blocks(config)}
    spelled = [name for name in count_names(text) if name in fields]
    try:
        made = type(text).from_dict({**fields, **dict.fromkeys(spelled, n_blocks)})
        return listed_of_blocks(made)
    except Exception:  # configurations raise errors of any kind
        return {}


def broken_pattern(config: PretrainedConfig, removed: Subset) -> str | None:
    """Return a warning for users of the pruned model; None if the pattern is kept."""
    pattern = pattern_of(config)
    broken = pattern.broken_by(removed) if pattern else []
    if pattern is None or not broken:
        return None
    return (
        f"the kinds of its blocks ({', '.join(broken)}) no longer repeat every {pattern.period} "
        f"blocks, as those of its family do; {ELSEWHERE}. A search with --keep-pattern avoids this"
    )


def period(kinds: Sequence[str]) -> int | None:
    """Return the number of blocks after which kinds repeat; None unless they do so twice.

    >>> period("aabaabaa"), period("aaaa"), period("aaab")
    (3, 1, None)
    """
    n = len(kinds)
    lengths = range(1, n // 2 + 1)
    return next((p for p in lengths if all(kinds[i] == kinds[i % p] for i in range(n))), None)
