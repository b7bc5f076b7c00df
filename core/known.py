"""What earlier commands found out about models, so that it need not be found out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Known:
    """Plain, picklable data that goes with a `Spec` to wherever the model is loaded."""

    proofs: frozenset[str] = frozenset()
    """of models that run block by block as they do by themselves, as `ModelFacts.proof`"""
    identities: Mapping[str, str] = field(default_factory=dict)
    """of checkpoints in folders, by the places, sizes and times of their files"""
    only_timed: bool = False
    """no loss is of interest, so nothing needs to be proved or identified"""

    def identity(self, stamp: Callable[[], str]) -> str:
        """Return the identity of files with this stamp; empty if it is not known.

        >>> Known(identities={"a": "b"}).identity(lambda: "a"), Known().identity(lambda: "a")
        ('b', '')
        """
        if self.only_timed:
            return "not read"
        return self.identities.get(stamp(), "") if self.identities else ""
