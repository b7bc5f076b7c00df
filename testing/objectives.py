"""The contract of an objective."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import IGNORE, Sample
from prunekit.core.contracts import is_mix
from prunekit.core.errors import one_line
from prunekit.core.interfaces import Objective
from prunekit.core.options import build, values_of
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.testing.contract import Checker, ContractError, silent
from prunekit.testing.measures import check_measure
from prunekit.testing.repeat import check_import, elsewhere, no_outside_chance, other_circumstances
from prunekit.testing.toys import demo_adapter, demo_spec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

FEW = 6
"""Samples that are measured; the form of all is checked."""


def check_objective(objective: Objective, model: str | Path | None = None) -> None:
    """Raise ContractError unless the objective keeps its contract on a small model.

    Its calibration set must be well formed and the same at every call. What it measures must be one
    finite sum and one positive weight for each sample, whichever samples share a batch and however
    they are padded; must distinguish pruned models from the dense one; must not hide predictions
    that are not finite; must change nothing that it is given; must write nothing to standard
    output, nor import anything heavy with its module; and can be differentiated, unless the class
    says `differentiable = False`. Give it data that needs no network: `check_objective(Mine(data=
    "demo"))`. `model` is a folder with a checkpoint; without it a demo model is used.
    """
    checker = Checker("objective", objective)
    checker.check_class()
    checker.check_copies()
    _check_demo_options(checker, objective)
    with silent(checker):
        if is_mix(objective):
            _check_parts(checker, objective)
            check_import(checker)
        else:
            _check_on_model(checker, objective, model)


def _check_on_model(checker: Checker, objective: Objective, model: str | Path | None) -> None:
    spec = demo_spec() if model is None else Spec(str(model), device="cpu", dtype="float32")
    adapter = demo_adapter() if model is None else load_adapter(spec)
    tokenizer = find(spec, load()).tokenizer()
    with checker.unchanged():
        samples = _check_calibration_set(checker, objective, tokenizer, spec)
        _check_held_out(checker, objective, tokenizer, samples)
        check_measure(checker, objective, adapter, samples[:FEW])
        _check_readings(checker, objective)


def _check_calibration_set(
    checker: Checker, objective: Objective, tokenizer: PreTrainedTokenizerBase, spec: Spec
) -> Sequence[Sample]:
    with checker.doing("making its calibration set"):
        samples = objective.calibration_set(tokenizer)  # imports libraries, which may draw too
        with no_outside_chance(checker, "a generator of its own, seeded by an option"):
            again = objective.calibration_set(tokenizer)
        with other_circumstances(seed=17):
            hastily = objective.calibration_set(tokenizer)
    checker.require(
        isinstance(samples, Sequence), f"must give a list of samples, not {type(samples).__name__}"
    )
    checker.require(samples, "gives no sample: the calibration set is empty; expected at least one")
    for number, sample in enumerate(samples):
        _check_sample(checker, number, sample, set(samples[0]), len(tokenizer))
    checker.require(
        not all(map(_are_inputs, samples)),
        "has its own input as targets; `targets[r, t]` is the token to be predicted at position t, "
        "the next one: shift them by one",
    )
    first = _plain(samples)
    for other in (again, hastily):
        checker.require(
            _plain(other) == first,
            "gives another calibration set at another call: draw it from a generator of its own, "
            "as random.Random(self.seed)",
        )
    with checker.doing("making its calibration set in another process"):
        there = elsewhere(checker, digest_of_set, spec.model)
    checker.require(
        there in (None, _digest(samples)),
        "gives another calibration set in another process: go through sets in sorted order",
    )
    return samples


def _check_held_out(
    checker: Checker,
    objective: Objective,
    tokenizer: PreTrainedTokenizerBase,
    samples: Sequence[Sample],
) -> None:
    with checker.doing("holding out samples"):
        held = objective.held_out()
        if held is None:
            return
        found, again = (held.calibration_set(tokenizer) for _ in range(2))
    for number, sample in enumerate(found):
        _check_sample(checker, number, sample, set(samples[0]), len(tokenizer))
    checker.require(
        len(found) >= len(samples),
        f"holds out {len(found)} samples, fewer than the {len(samples)} of its calibration set; "
        "return None where the data has no more",
    )
    checker.require(_plain(found) == _plain(again), "holds out other samples at another call")
    known = set(map(repr, _plain(samples)))
    checker.require(
        not known & set(map(repr, _plain(found))), "holds out a sample of its calibration set"
    )


def digest_of_set(objective: Objective, model: str) -> str:
    """Digest the calibration set, in another process."""
    tokenizer = find(Spec(model), load()).tokenizer()
    return _digest(objective.calibration_set(tokenizer))


def _digest(samples: Sequence[Sample]) -> str:
    return hashlib.blake2b(repr(_plain(samples)).encode(), digest_size=8).hexdigest()


def _plain(samples: Sequence[Sample]) -> list[Any]:
    return [[(name, sample[name].tolist()) for name in sorted(sample)] for sample in samples]


def _check_sample(checker: Checker, number: int, sample: Any, names: set[str], words: int) -> None:
    def require(kept: object, fault: str) -> None:
        checker.require(kept, f"gives a sample, number {number}, that {fault}")

    require(
        isinstance(sample, Mapping) and {"input_ids", "targets"} <= set(sample),
        "is no mapping with `input_ids` and `targets`",
    )
    require(set(sample) == names, "has other tensors than the first; give all samples the same")
    ids = sample["input_ids"]
    for name, tensor in sample.items():
        require(hasattr(tensor, "device"), f"has no tensor as {name!r}")
        require(tensor.device.type == "cpu", f"has {name!r} on another device than the processor")
        require(
            tensor.ndim > 0 and len(tensor) == len(ids),
            f"has {len(tensor) if tensor.ndim else 'no'} entries in {name!r}, but {len(ids)} rows",
        )
    targets = sample["targets"]
    require(ids.ndim == 2 and ids.shape == targets.shape, "is not [rows, length] in both")
    require(_whole(ids) and _whole(targets), "has tokens that are no whole numbers")
    require(ids.numel() and ((ids >= 0) & (ids < words)).all(), "has ids outside the vocabulary")
    chosen = targets[targets != IGNORE]
    require(len(chosen), "has no target, so nothing is measured; leave it out")
    require(((chosen >= 0) & (chosen < words)).all(), "has targets outside the vocabulary")


def _are_inputs(sample: Sample) -> bool:
    """Return True if every target is the token at its own position."""
    ids, targets = sample["input_ids"], sample["targets"]
    return bool((targets == ids)[targets != IGNORE].all())


def _whole(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype.itemsize >= 4


def _check_readings(checker: Checker, objective: Any) -> None:
    for loss in (0.5, -3.0, 1e6, math.inf):
        with checker.doing(f"making readings of a loss of {loss}, which must not fail"):
            given = objective.readings(loss)
        checker.require(
            isinstance(given, Mapping) and all(isinstance(x, float) for x in given.values()),
            f"gives {given!r} as readings of a loss of {loss}; expected names and floats",
        )


def _check_demo_options(checker: Checker, objective: Objective) -> None:
    given = objective.demo_options
    try:
        build(type(objective), {**values_of(objective), **given}, "demo_options")
    except Exception as error:
        raise ContractError(
            f"{checker.who} has demo_options that are none of its options: {one_line(error)}"
        ) from error


def _check_parts(checker: Checker, objective: Any) -> None:
    """Check the names and weights of an objective that combines others."""
    with checker.doing("naming its parts"):
        parts, again = objective.parts_by_name(), objective.parts_by_name()
    checker.require(
        isinstance(parts, Mapping) and parts and all(map(math.isfinite, parts.values())),
        f"gives {parts!r} as its parts; expected names of objectives and finite weights",
    )
    with checker.doing("naming its bounds"):
        bounds = objective.bounds_by_name()
    checker.require(
        isinstance(bounds, Mapping) and all(1 <= ratio < math.inf for ratio in bounds.values()),
        f"gives {bounds!r} as its bounds; expected names of objectives and finite ratios from 1 on",
    )
    checker.require(objective.name not in {**parts, **bounds}, "has itself as a part")
    checker.require(dict(parts) == dict(again), "gives other parts at another call")
