"""What earlier commands found out about models, so that it need not be found out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Known:
    """Plain, picklable data that goes with a `Spec` to wherever the model is loaded."""

    proofs: frozenset[str] = frozenset()
    """of models that run block by block as they do by themselves, as `ModelFacts.proof`"""
    identities: Mapping[str, str] = field(default_factory=dict)
    """of checkpoints in folders, by the places, sizes and times of their files"""
    only_timed: bool = False
    """no loss is of interest, so nothing needs to be proved"""
