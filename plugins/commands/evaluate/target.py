"""What is to be evaluated, and the dense model to set beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import ModelFacts, Spec
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.plan import spec_of
from prunekit.engine.provenance import read_provenance
from prunekit.engine.runs import Run
from prunekit.engine.variant import check_blocks, check_weights, choose_variant
from prunekit.hf.checkpoint import DEMO
from prunekit.plugins.commands.evaluate.origin import find_dense

OF_RUNS = ("device", "dtype", "tokens_per_forward")
"""What a run may be told anew: where and how it is evaluated, not what it is."""


@dataclass(frozen=True)
class Target:
    """A model without some blocks, a checkpoint that was made of another model, or one model."""

    spec: Spec
    removed: Subset = DENSE
    """blocks to bypass"""
    run: Run | None = None
    origin: Spec | None = None
    """the dense model that the checkpoint was made of, where it can be had"""
    gone: tuple[int, ...] = ()
    """what the checkpoint says was removed when it was made"""
    remark: str = ""
    """why there is nothing to compare with, if so"""

    @property
    def is_pruned(self) -> bool:
        """Whether blocks are missing."""
        return bool(self.removed or self.gone)

    @property
    def has_dense(self) -> bool:
        """Whether the dense model is there."""
        return not self.is_pruned or bool(self.removed) or self.origin is not None

    @property
    def is_compared(self) -> bool:
        """Whether a pruned model is set beside a dense one."""
        return self.is_pruned and self.has_dense

    @property
    def is_demo(self) -> bool:
        """Whether it is one of the models that come with prunekit, or made of one."""
        return (self.origin or self.spec).model.startswith(DEMO)

    def check(self, facts: ModelFacts) -> None:
        """ConfigError where it has not these blocks, or not the weights that were searched."""
        if self.removed:
            check_blocks(self.removed, facts.n_blocks)
        result = self.run.result if self.run else None
        check_weights(facts.fingerprint["weights"], result, self.spec.model)


def target_of(
    model: str | None,
    run: str | Path | None,
    remove: Iterable[int] | None,
    workdir: str | Path,
    given: Mapping[str, Any],
) -> Target:
    """A run, `model` without the blocks `remove`, or `model` as it is.

    `given` holds settings of the model such as `device`. ConfigError where it is two at once.
    """
    if run is None and remove is None:
        return _as_it_is(spec_of(parse({"model": model, **given}, load()).settings), Path(workdir))
    variant = choose_variant(model, remove, run, workdir, given, anew=OF_RUNS)
    if not variant.removed:
        raise ConfigError("--remove names no block; leave it out to evaluate the model as it is")
    return Target(variant.spec, variant.removed, variant.run)


def _as_it_is(spec: Spec, workdir: Path) -> Target:
    """A checkpoint that prunekit wrote knows which model it was made of."""
    record = read_provenance(Path(spec.model))
    if record is None:
        return Target(
            spec, remark="no blocks are missing, so there is nothing to compare with: add --remove"
        )
    gone = tuple(record["removed"])
    if spec.trust_remote_code:  # it was given to this folder, not to what a file of it names
        remark = (
            "without its dense model: to trust its code as well, evaluate "
            f"{record['model']} --remove"
        )
        return Target(spec, gone=gone, remark=remark)
    try:
        return Target(spec, origin=find_dense(spec, record, workdir), gone=gone)
    except ConfigError as error:
        return Target(spec, gone=gone, remark=f"without its dense model: {error}")
