"""Check that sums and weights of a sample do not depend on the rest of its batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.contracts import overrides
from prunekit.core.interfaces import ModelAdapter, Objective, Output
from prunekit.core.measurement import mean_loss
from prunekit.core.problem import DENSE, Subset
from prunekit.hf.tokens import batches_of
from prunekit.testing.contract import Checker

if TYPE_CHECKING:
    from torch import Tensor


ROUNDING = 1e-3
"""Allowed difference of a sum in another batch, as a share of the largest."""
PADDING = 5
Values: TypeAlias = tuple[list[float], list[float]]
"""Sums and weights, one of each a sample."""
CHANGES_BATCH = "changes the batch that it is given; work on copies"


class Measurer:
    """Measure samples with an objective on a model, and check the form of the results."""

    def __init__(self, checker: Checker, objective: Objective, adapter: ModelAdapter) -> None:
        self.checker = checker
        self.objective: Any = objective
        self.adapter = adapter

    def values(self, batch: Batch, removed: Subset) -> Values:
        """Return sums and weights of a pruned variant on one batch."""
        import torch

        with torch.no_grad():
            batch = self.prepared(batch)
            output = self.output(batch, removed)
            before = _copied(batch)
            with self.checker.doing("measuring a batch"):
                given = self.objective.measure(StrictOutput(self.checker, output), batch)
            self.checker.require(
                isinstance(given, tuple | list) and len(given) == 2,
                f"gives {_kind(given)}, but `measure` must give (sums, weights), one of each a "
                "sample",
            )
            sums, weights = given
            self._check_form(sums, weights, batch.n_samples)
            self.checker.require(_equal(before, _copied(batch)), CHANGES_BATCH)
            with self.checker.doing("measuring the same again"):
                again, _ = self.objective.measure(StrictOutput(self.checker, output), batch)
            self.checker.require(
                torch.equal(again.nan_to_num(), sums.nan_to_num()),
                "gives other sums for the same predictions: change no tensor in place, draw no "
                "chance, and read no clock",
            )
        return sums.tolist(), weights.tolist()

    def output(self, batch: Batch, removed: Subset) -> Output:
        """Return the output of the model without these blocks."""
        state = self.adapter.enter(batch)
        for index in range(self.adapter.facts.n_blocks):
            state = state if index in removed else self.adapter.block(index, state)
        return self.adapter.output(state)

    def prepared(self, batch: Batch) -> Batch:
        """Return the batch with the tensors that `prepare` keeps of the dense model."""
        if not overrides(self.objective, Objective.prepare):
            return batch
        before = _copied(batch)
        with self.checker.doing("preparing a batch"):
            kept = self.objective.prepare(
                batch, StrictOutput(self.checker, self.output(batch, DENSE))
            )
        self.checker.require(_equal(before, _copied(batch)), CHANGES_BATCH)
        clash = sorted(set(kept) & {"input_ids", "targets", *batch.extra})
        self.checker.require(
            not clash, f"keeps {', '.join(clash)}, a name that the batch has already"
        )
        return replace(batch, extra={**batch.extra, **kept})

    def _check_form(self, sums: Any, weights: Any, samples: int) -> None:
        import torch

        for name, values in (("sums", sums), ("weights", weights)):
            self.checker.require(
                isinstance(values, torch.Tensor) and values.shape == (samples,),
                f"gives {_kind(values)} as {name} of {samples} samples; expected a tensor of one "
                "number a sample: the rows of a sample are added up by `batch.sample`",
            )
        self.checker.require(
            weights.isfinite().all() and (weights > 0).all(),
            f"gives the weights {weights.tolist()}; each must be finite and above 0",
        )


def check_measure(
    checker: Checker, objective: Objective, adapter: ModelAdapter, samples: Sequence[Sample]
) -> None:
    """Raise ContractError unless `measure`, `prepare` and `reduce` keep their promises."""
    measurer = Measurer(checker, objective, adapter)
    half = frozenset(range(1, adapter.facts.n_blocks, 2))
    (together,) = batches_of(samples, 10**9)
    sums, weights = measurer.values(together, half)
    checker.require(
        all(map(math.isfinite, sums)), f"gives sums that are not finite on a healthy model: {sums}"
    )
    alone = [measurer.values(batch, half) for batch in batches_of(samples, 1)]
    _check_same(checker, (sums, weights), _joined(alone), "when each sample is a batch by itself")
    _check_same(
        checker, (sums, weights), measurer.values(_padded(together), half), "with more padding"
    )
    (backwards,) = batches_of(samples[::-1], 10**9)
    turned = measurer.values(backwards, half)
    _check_same(
        checker, (sums[::-1], weights[::-1]), turned, "when the samples are in another order"
    )
    _check_sees(measurer, together)
    _check_broken(measurer, together)
    _check_reduce(checker, objective, sums, weights)
    _check_gradients(measurer, batches_of(samples[:2], 10**9)[0])


def _check_sees(measurer: Measurer, batch: Batch) -> None:
    n = measurer.adapter.facts.n_blocks
    singles = [frozenset({i}) for i in range(n)]
    variants = [frozenset(range(1, n)), frozenset(range(0, n, 2)), *singles]
    dense, _ = measurer.values(batch, DENSE)
    measurer.checker.require(
        any(measurer.values(batch, removed)[0] != dense for removed in variants),
        "gives the dense model and all pruned ones the same sums, so there is nothing to search by",
    )


def _check_same(checker: Checker, expected: Values, found: Values, when: str) -> None:
    scale = max(1e-6, *map(abs, expected[0]))
    close = all(abs(a - b) <= ROUNDING * scale for a, b in zip(expected[0], found[0], strict=True))
    checker.require(
        close and found[1] == expected[1],
        f"measures other numbers {when}: {_shown(found)} instead of {_shown(expected)}. Each sum "
        "and weight must belong to its own sample; read neither padding (targets are IGNORE there) "
        "nor the rest of the batch",
    )


def _shown(values: Values) -> str:
    sums, weights = ([float(f"{x:.4g}") for x in row] for row in values)
    return f"sums {sums}, weights {weights}"


def _joined(parts: Sequence[Values]) -> Values:
    return [x for sums, _ in parts for x in sums], [x for _, weights in parts for x in weights]


def _padded(batch: Batch) -> Batch:
    """Return the same batch, padded further on the right."""
    from torch.nn.functional import pad

    return replace(
        batch,
        input_ids=pad(batch.input_ids, (0, PADDING)),
        attention_mask=pad(batch.attention_mask, (0, PADDING)),
        targets=pad(batch.targets, (0, PADDING), value=IGNORE),
    )


def _check_broken(measurer: Measurer, batch: Batch) -> None:
    import torch

    with torch.no_grad(), measurer.checker.doing("measuring predictions that are not finite"):
        batch = measurer.prepared(batch)
        output = NanOutput(measurer.output(batch, DENSE))
        sums, _ = measurer.objective.measure(output, batch)
    measurer.checker.require(
        not sums.isfinite().any(),
        f"gives finite sums, {sums.tolist()}, for predictions that are not finite, so a broken "
        "model would look like a good one; let NaN pass through, or give infinity",
    )


def _check_reduce(
    checker: Checker, objective: Objective, sums: Sequence[float], weights: Sequence[float]
) -> None:
    reduce = objective.reduce if overrides(objective, Objective.reduce) else mean_loss
    with checker.doing("reducing sums and weights to a loss"):
        loss = reduce(tuple(sums), tuple(weights))
        backwards = reduce(tuple(sums[::-1]), tuple(weights[::-1]))
        reduce(tuple(sums[1:]), tuple(weights[1:]))  # as standard errors do
    checker.require(
        isinstance(loss, float) and math.isfinite(loss),
        f"reduces finite sums to {loss!r}; expected a finite float",
    )
    checker.require(
        math.isclose(loss, backwards, rel_tol=1e-9, abs_tol=1e-12),
        "reduces the same samples in another order to another loss",
    )


def _check_gradients(measurer: Measurer, batch: Batch) -> None:
    """Differentiate with all gates at one half: some losses are flat at the dense model."""
    import torch

    if not measurer.objective.differentiable:
        return
    with torch.no_grad():
        batch = measurer.prepared(batch)
    gate = torch.full((1,), 0.5, requires_grad=True)
    state = measurer.adapter.enter(batch)
    for index in range(measurer.adapter.facts.n_blocks):
        state = measurer.adapter.gated_block(index, state, gate)
    with measurer.checker.doing("measuring with gates"):
        sums, _ = measurer.objective.measure(measurer.adapter.output(state), batch)
    slope = torch.autograd.grad(sums.sum(), gate)[0] if sums.requires_grad else torch.zeros(1)
    measurer.checker.require(
        slope.isfinite().all() and slope.any(),
        f"has the derivative {slope.item()} by a gate on all blocks: write tensor operations, no "
        ".item() or .detach(); an objective that counts says `differentiable: ClassVar[bool] = "
        "False`",
    )


def _kind(given: Any) -> str:
    """Describe a value: a tensor with its shape, else its type."""
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {len(given)}"
    shape = getattr(given, "shape", None)
    return type(given).__name__ if shape is None else f"a tensor {list(shape)}"


def _copied(batch: Batch) -> dict[str, Any]:
    import torch

    tensors = {
        name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)
    }
    return {name: value.clone() for name, value in {**batch.extra, **tensors}.items()}


def _equal(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before.keys() == after.keys() and all(
        value.shape == after[name].shape and bool((value == after[name]).all())
        for name, value in before.items()
    )


class StrictOutput:
    """An Output with the methods of the protocol and nothing else."""

    def __init__(self, checker: Checker, output: Output) -> None:
        self._checker = checker
        self._output = output

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return those of the model."""
        return self._output.token_logprobs(targets)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Return those of the model."""
        return self._output.logits(where)

    def __getattr__(self, name: str) -> Any:
        self._checker.require(
            False, f"reads `output.{name}`; an Output has only token_logprobs and logits"
        )


class NanOutput:
    """The output of a model whose activations overflowed."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return NaN everywhere."""
        return self._output.token_logprobs(targets).masked_fill(targets != IGNORE, math.nan)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Return NaN everywhere."""
        for part in self._output.logits(where):
            yield part * math.nan
