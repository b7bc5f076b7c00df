"""A model and the blocks to remove from it: named by hand, or chosen by a search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset, words
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.config import NO_REPAIR, NOT_BY_A_FILE, TRUST, parse
from prunekit.engine.plan import spec_of
from prunekit.engine.repairing import FILE
from prunekit.engine.runs import Run, read_run, smaller_of
from prunekit.hf.checkpoint import find
from prunekit.hf.patch_file import StoredPatches
from prunekit.hf.side_files import tokenizer_digest

MODEL_SETTINGS = (
    "model",
    "adapter",
    "revision",
    "trust_remote_code",
    "device",
    "dtype",
    "attention",
)
"""Settings that decide which model a command takes, and how it is loaded."""
MEASURED_SETTINGS = (*MODEL_SETTINGS, "tokens_per_forward")
"""The same where losses of the model are measured."""


@dataclass(frozen=True)
class Variant:
    """A model without some of its blocks, and the run that chose them, if a search did."""

    spec: Spec
    removed: Subset
    run: Run | None = None


def choose_variant(
    model: str | None,
    remove: Iterable[int] | None,
    run: str | Path | None,
    workdir: str | Path,
    given: Mapping[str, Any],
    anew: Collection[str] = (),
    budget: int | None = None,
) -> Variant:
    """Return `model` without the blocks `remove`, or the choice of a `run`.

    `run` is a run's folder, or its name under `workdir`. `given` holds settings of the model such
    as `adapter` and `device`; `anew` names those that may differ from the search. With a smaller
    `budget` than that of the run, the best subset of that size that it measured is taken, as if it
    were named by hand.

    Raises ConfigError if it is neither or both, if a setting of the run is given again, or if its
    model has changed; nothing of it is loaded.
    """
    if (run is None) == (remove is None):
        raise ConfigError(
            "give either a run, as --run NAME, or the blocks to remove, as --remove 9,12"
        )
    if run is None and budget is not None:
        raise ConfigError(
            f"budget {budget}: only a run has smaller choices; give --run NAME, or leave it out",
            ("budget",),
        )
    if run is None:
        settings = parse({"model": model, **given}, load()).settings
        return Variant(spec_of(settings), as_subset(remove or ()))
    anew = (*anew, TRUST)
    known = [*(["model"] if model is not None else []), *(k for k in given if k not in anew)]
    if known:
        raise ConfigError(
            f"{', '.join(known)}: a run knows this itself; leave it out, or give --remove"
        )
    source = read_run(Path(run), Path(workdir))
    registry = load()
    settings = parse(given, registry).settings
    values = asdict(settings)
    spec = replace(source.spec, **{name: values[name] for name in given})
    if source.config.settings.trust_remote_code and not spec.trust_remote_code:
        raise ConfigError(f"{source.folder} was searched with {TRUST}: {NOT_BY_A_FILE}", (TRUST,))
    checkpoint = find(spec, registry)
    check_weights(checkpoint.identity(), source.result, spec.model)
    _check_tokenizer(tokenizer_digest(checkpoint), source.result, spec.model)
    if budget is None or budget == len(source.removed):
        return Variant(with_repair(spec, source), source.removed, source)
    if source.result.get("repair"):
        raise ConfigError(
            f"budget {budget}: {source.folder.name} is repaired for its own blocks only; search "
            f"again with --budget {budget}, for which what was measured counts",
            ("budget",),
        )
    return Variant(spec, smaller_of(source, budget))


def with_repair(spec: Spec, run: Run) -> Spec:
    """Return the model with the patches of a run, if it has any."""
    repair, searched = run.result.get("repair"), run.config.settings.repair
    if (repair["name"] if repair else NO_REPAIR) != searched.rpartition(":")[-1]:
        raise ConfigError(
            f"{run.folder}: its result and its config.yaml name different repairs; search again"
        )
    if not repair:
        return spec
    return replace(spec, repairing=StoredPatches.at(run.folder / FILE, repair["digest"]))


def as_subset(blocks: Iterable[int]) -> Subset:
    """Return the blocks as a set. Raises ConfigError if one is not a number or is named twice."""
    listed = list(blocks) if isinstance(blocks, Iterable) else [blocks]
    if not isinstance(blocks, Iterable) or not all(type(i) is int for i in listed):
        raise ConfigError(f"expected block numbers, counted from 0, as [9, 12]; got {blocks!r}")
    twice = {i for i in listed if listed.count(i) > 1}
    if twice:
        raise ConfigError(f"named twice: {words(twice)}; name each block once")
    return frozenset(listed)


def check_blocks(removed: Subset, n_blocks: int) -> None:
    """Raise ConfigError unless these can be removed from a model of `n_blocks` blocks."""
    wrong = [i for i in removed if not 0 <= i < n_blocks]
    if wrong:
        raise ConfigError(
            f"no such block: {words(wrong)}; this model has blocks 0 to {n_blocks - 1}"
        )
    if not 0 < len(removed) < n_blocks:
        raise ConfigError(
            f"{len(removed)} of {n_blocks} blocks cannot be removed; name at least one, not all"
        )


def check_weights(weights: str, result: Mapping[str, Any] | None, model: str) -> None:
    """Raise ConfigError if the weights have changed since a search chose the blocks."""
    if result is not None and result["weights"] != weights:
        raise _changed(model, "weights have")


def _check_tokenizer(tokenizer: str, result: Mapping[str, Any], model: str) -> None:
    """Raise ConfigError if the tokenizer has changed; results of version 0.1 may not record it."""
    if result.get("tokenizer", tokenizer) != tokenizer:
        raise _changed(model, "tokenizer has")


def _changed(model: str, what: str) -> ConfigError:
    return ConfigError(
        f"{model} is no longer the model that was searched: its {what} changed; search again, or "
        "name the blocks with --remove"
    )
