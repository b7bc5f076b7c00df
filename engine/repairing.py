"""Search under a repair, and fit it again for what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prunekit.core.interfaces import ModelAdapter, Objective
from prunekit.core.options import values_of
from prunekit.core.problem import Subset
from prunekit.core.repair import Repair
from prunekit.engine.files import write_bytes
from prunekit.engine.held_out import times_held_out
from prunekit.engine.repaired import Repaired
from prunekit.hf.fitting import FittedPatches, Fitting
from prunekit.hf.identity import digest_of_code
from prunekit.hf.patch_file import as_bytes, digest_of_patches
from prunekit.hf.prefix import one_line_errors
from prunekit.hf.refit import refit
from prunekit.hf.repaired import RepairedAdapter

LEAST_TOKENS, TOKENS_PER_CHANNEL = 8192, 4
FILE = "repair.safetensors"
"""In the folder of a run: the patches of its choice."""


def fitting_of(repair: Repair, objectives: Sequence[Objective], tokens: int) -> Fitting:
    """Return a repair to be fitted on data of the first objective, apart from all other samples."""
    key = repr((_key_of(repair), [*map(_key_of, objectives)], tokens))
    return Fitting(key, repair, tuple(objectives), tokens, times_held_out)


def tokens_of(wanted: int | None, width: int) -> int:
    """Return how many tokens to fit a repair on; by default enough for a matrix of this width."""
    return wanted or max(LEAST_TOKENS, TOKENS_PER_CHANNEL * width)


def _key_of(plugin: object) -> tuple[object, ...]:
    cls = type(plugin)
    return cls.__module__, cls.__qualname__, digest_of_code(cls), sorted(values_of(plugin).items())


def refit_choice(adapter: ModelAdapter, removed: Subset, folder: Path) -> Repaired:
    """Fit the patches of a choice one after the other, and write them into the run's folder."""
    assert isinstance(adapter, RepairedAdapter)
    fitted = adapter.patch_of
    assert isinstance(fitted, FittedPatches)
    with one_line_errors("model", adapter):
        found = refit(fitted, removed)
    content = as_bytes(found.patches)
    write_bytes(folder / FILE, content)
    return Repaired(
        name=fitted.repair.name,
        fitted=sum(int(batch.attention_mask.sum()) for batch in fitted.fitted),
        checked=found.tokens,
        bare=found.bare,
        searched=found.searched,
        refitted=found.refitted,
        cuts=tuple(place for place, patch in found.patches.items() if patch.changes),
        digest=digest_of_patches(content),
    )
