"""Patterns: kinds of blocks that repeat, as where every sixth block attends to the whole text.

The configuration lists the kind of every block, and what prunekit writes lists it for the blocks
that stay. Some programs do not read that list, but compute a block's kind from its number. They run
the pruned model right only if its kinds still follow the pattern of the whole model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.layer_fields import listed_of_blocks
from prunekit.core.problem import Subset

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ELSEWHERE = (
    "transformers reads each block's kind from config.json, but what computes it from the block's "
    "number runs another model: llama.cpp for most families with sliding windows or with rotary "
    "positions in some blocks only, vLLM and SGLang for the experts of Llama 4"
)


@dataclass(frozen=True)
class Pattern:
    """The fields by which a configuration lists kinds of blocks that repeat."""

    kinds: Mapping[str, Sequence[str]]
    """by field, the kind of each block"""

    @property
    def period(self) -> int:
        """After how many blocks all of it repeats."""
        return math.lcm(*(period(kinds) or 1 for kinds in self.kinds.values()))

    def broken_by(self, removed: Subset) -> list[str]:
        """The fields of which the blocks that stay no longer follow the pattern."""
        return [name for name, kinds in self.kinds.items() if not _follow(kinds, removed)]


def pattern_of(config: PretrainedConfig) -> Pattern | None:
    """The pattern of a model's blocks; None where they are all alike or follow none."""
    listed = listed_of_blocks(config)
    kinds = {name: of for name, of in listed.items() if (period(of) or 1) > 1}
    return Pattern(kinds) if kinds else None


def broken_pattern(config: PretrainedConfig, removed: Subset) -> str | None:
    """What users of the model without these blocks must know; None where its pattern is kept."""
    pattern = pattern_of(config)
    broken = pattern.broken_by(removed) if pattern else []
    if pattern is None or not broken:
        return None
    return (
        f"the kinds of its blocks ({', '.join(broken)}) no longer repeat every {pattern.period} "
        f"blocks, as those of the whole model do; {ELSEWHERE}. A search with --keep-pattern avoids "
        "this"
    )


def period(kinds: Sequence[str]) -> int | None:
    """After how many blocks kinds repeat; None where they do not, twice or more.

    >>> period("aabaabaa"), period("aaaa"), period("aaab")
    (3, 1, None)
    """
    n = len(kinds)
    lengths = range(1, n // 2 + 1)
    return next((p for p in lengths if all(kinds[i] == kinds[i % p] for i in range(n))), None)


def _follow(kinds: Sequence[str], removed: Subset) -> bool:
    """Whether a block's kind, computed from its new number, is what it was."""
    kept = [kind for i, kind in enumerate(kinds) if i not in removed]
    return list(kinds[: len(kept)]) == kept
