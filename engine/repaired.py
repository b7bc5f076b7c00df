"""The repair of a choice, as results give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunekit.core.problem import words
from prunekit.engine.stored import check_counts
from prunekit.hf.streams import cuts_of


@dataclass(frozen=True)
class Repaired:
    """The repair of a choice, with losses in nats per token of text that no search measured on."""

    name: str
    fitted: int
    """tokens that the patches are fitted on"""
    checked: int
    """tokens predicted for these losses, on which strengths of patches were chosen too"""
    bare: float
    """without any repair"""
    searched: float
    """with patches that are fitted on the dense model, as during the search"""
    refitted: float
    """with those that are stored, fitted one after the other"""
    cuts: tuple[tuple[int, int], ...]
    """that are patched: the first block removed, and the one after the cut"""
    digest: str
    """of the file with the patches"""

    @property
    def words(self) -> str:
        """Say what it is, and what it gains.

        >>> Repaired("magnitude", 6144, 2040, 4.5, 4.42, 4.4, ((3, 5),), "").words
        'repaired by magnitude at 1 cut, fitted on 6,144 tokens: 4.4000 nats per token on 2,040 \
others (4.5000 bare, 4.4200 as searched, like all losses of the search)'
        """
        cuts = f"{len(self.cuts)} {'cut' if len(self.cuts) == 1 else 'cuts'}"
        return (
            f"repaired by {self.name} at {cuts}, fitted on {self.fitted:,} tokens: "
            f"{self.refitted:.4f} nats per token on {self.checked:,} others "
            f"({self.bare:.4f} bare, {self.searched:.4f} as searched, like all losses of the "
            "search)"
        )


def check_repaired(row: Mapping[str, Any], removed: Sequence[int], n_blocks: int) -> None:
    """Raise ValueError unless the repair in a file can be that of a model without these blocks."""
    check_counts(row, "fitted", "checked", name="repair")
    cuts = cuts_of(frozenset(removed), n_blocks)
    for cut in row["cuts"]:
        if tuple(cut) not in cuts:
            raise ValueError(
                f"repair.cuts cannot hold {cut}, as blocks {words(removed)} are removed"
            )
