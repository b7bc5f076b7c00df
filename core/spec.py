"""A model by name, with what is known of it before it is loaded, and the facts of a loaded one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prunekit.core.repair import Repairing

OWN_DTYPE = "own"
"""As a dtype: the one in which the checkpoint is stored."""


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


@dataclass(frozen=True)
class Spec:
    """Everything a worker needs to rebuild the model: plain, picklable data."""

    model: str
    revision: str | None = None
    adapter: str | None = None
    trust_remote_code: bool = False
    device: str = "auto"
    dtype: str = "auto"
    tokens_per_forward: int = 8192
    attention: str = "auto"
    state_memory: int | None = field(default=None, compare=False)
    """bytes for states that are kept between requests; by default a quarter of what is free"""
    processes: int = field(default=1, compare=False)
    """how many share that memory"""
    known: Known = field(default=Known(), compare=False)
    repairing: Repairing | None = None
    """what repairs the cuts; None leaves them bare"""


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a loaded model."""

    n_blocks: int
    parameters: int
    block_parameters: tuple[int, ...]
    fingerprint: Mapping[str, str]
    """everything about model and machine that changes a loss: `weights`, adapter, dtype, ..."""
    head_price: float = 1.0
    """what the head costs at all positions, in forwards of a block"""
    proof: str = field(default="", compare=False)  # what was proved on loading; see `Known`
