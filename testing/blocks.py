"""Compare an adapter's blocks with the model as stock transformers loads it."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import IGNORE, Batch
from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelAdapter, State
from prunekit.core.problem import DENSE, Subset, words
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.proof import close, config_of, gap, probe, prove
from prunekit.hf.roundtrip import Expectation, check_checkpoint
from prunekit.testing.contract import Checker, ContractError

if TYPE_CHECKING:
    from torch import Tensor


def check_blocks(checker: Checker, adapter: ModelAdapter, stock: Any) -> None:
    """Raise ContractError unless the adapter runs blocks as the model itself does."""
    import torch

    batch = probe(24, 11, config=stock.config)
    with torch.no_grad():
        with checker.doing("running the blocks one by one"):
            _check_inputs_stay(checker, adapter, batch)
        _check_dense(checker, adapter, stock, batch)
        _check_states(checker, adapter, batch)
        _check_output(checker, adapter, batch)
        _check_bypassing(checker, adapter, batch)
    with checker.doing("being copied, as `prunekit latency` does"):
        copied = copy.deepcopy(adapter)
    with checker.doing("making the model anew with all its blocks, as `prunekit latency` does"):
        copied.without(DENSE)
    try:
        prove(adapter)
    except CheckpointError as error:
        raise ContractError(f"{checker.who}: {error}") from error
    with checker.doing("running a block with a gate"):
        _check_gates(checker, adapter, batch)


def check_export(checker: Checker, adapter: ModelAdapter, removed: Subset) -> None:
    """Raise ContractError unless the shorter model loads again whole and predicts the same."""
    facts = adapter.facts
    expected = Expectation.of(adapter, removed)
    with checker.doing(f"taking blocks {words(removed)} away"):
        model: Any = adapter.without(removed)
        count = model.num_parameters()
    left = facts.parameters - sum(facts.block_parameters[i] for i in removed)
    checker.require(
        count == left,
        f"leaves {count:,} parameters without blocks {words(removed)}; by facts.block_parameters "
        f"{left:,} should be left",
    )
    with tempfile.TemporaryDirectory() as folder:
        with checker.doing("saving the model without some blocks"):
            model.save_pretrained(folder)
        try:
            check_checkpoint(Path(folder), expected, Checkpoint(folder))
        except CheckpointError as error:
            raise ContractError(
                f"{checker.who} exports a model without blocks {words(removed)} that is not right: "
                f"{error}. `without` must shorten every field of the configuration that counts or "
                "lists blocks, and number the blocks anew for the cache"
            ) from error


def _check_inputs_stay(checker: Checker, adapter: ModelAdapter, batch: Batch) -> None:
    import torch

    state = adapter.enter(batch)
    for index in range(adapter.facts.n_blocks):
        before = adapter.hidden(state).clone()
        after = adapter.block(index, state)
        checker.require(
            torch.equal(before, adapter.hidden(state)),
            f"changes what goes into block {index}; other subsets start from the same state, so "
            "return a new one",
        )
        checker.require(
            torch.equal(adapter.hidden(adapter.block(index, state)), adapter.hidden(after)),
            f"gives something else when block {index} runs on the same state again",
        )
        state = after


def _check_dense(checker: Checker, adapter: ModelAdapter, stock: Any, batch: Batch) -> None:
    where = batch.attention_mask.bool()
    own = _forward(stock, batch)[where]
    for what, logits in (
        ("run block by block", _logits(adapter, _through(adapter, batch), where)),
        ("`reference` of it", adapter.reference(batch, DENSE)[where]),
    ):
        checker.require(
            close(logits, own),
            f"does not give the model's own logits: the dense model, {what}, differs by "
            f"{gap(logits, own):.2g} from what transformers gives",
        )


def _check_states(checker: Checker, adapter: ModelAdapter, batch: Batch) -> None:
    """Check that states are independent: batches interleave, and prefixes are shared."""
    import torch

    def last(state: State) -> Tensor:
        for index in range(adapter.facts.n_blocks):
            state = adapter.block(index, state)
        return adapter.hidden(state)

    with checker.doing("running two batches at once"):
        mine = adapter.enter(batch)
        expected = last(mine)
        adapter.enter(probe(9, config=config_of(adapter)))
        checker.require(
            torch.equal(last(mine), expected),
            "keeps on itself what belongs to a batch: after another batch was entered, the first "
            "one gives something else; put it all into the state",
        )


def _check_output(checker: Checker, adapter: ModelAdapter, batch: Batch) -> None:
    import torch

    where = batch.attention_mask.bool() & (torch.arange(batch.input_ids.shape[1]) % 3 > 0)
    targets = torch.where(where, batch.input_ids, IGNORE)
    with checker.doing("predicting"):
        output = adapter.output(_through(adapter, batch))
        logits = torch.cat(list(output.logits(where)))
        logprobs = output.token_logprobs(targets)
    checker.require(
        logits.dtype == logprobs.dtype == torch.float32,
        f"predicts in {logits.dtype} and {logprobs.dtype}; expected float32 of both",
    )
    checker.require(
        logits.ndim == 2 and len(logits) == int(where.sum()),
        f"gives logits of shape {list(logits.shape)} at {int(where.sum())} places; expected "
        "[places, words]",
    )
    checker.require(
        logprobs.shape == targets.shape and not logprobs[~where].any(),
        "must give log-probabilities [rows, length], and 0 where the target is IGNORE",
    )
    expected = logits.log_softmax(-1).gather(-1, targets[where][:, None])[:, 0]
    checker.require(
        close(logprobs[where], expected),
        "gives log-probabilities that do not fit its logits; both follow the places of `where` row "
        "by row",
    )


def _check_bypassing(checker: Checker, adapter: ModelAdapter, batch: Batch) -> None:
    removed = frozenset({1})
    where = batch.attention_mask.bool()
    expected = _logits(adapter, _through(adapter, batch, removed), where)
    dense = _logits(adapter, _through(adapter, batch), where)
    with checker.doing("lending its model with a block bypassed"):
        with adapter.bypassing(removed) as model:
            own = _forward(model, batch)[where]
        _interrupt(adapter, removed)
        after = _forward(model, batch)[where]
    checker.require(
        close(own, expected),
        "lends a model in `bypassing` that does not pass the removed blocks by",
    )
    checker.require(
        close(after, dense),
        "leaves blocks bypassed when `bypassing` is over, or was interrupted; restore them in a "
        "`finally`",
    )


def _forward(model: Any, batch: Batch) -> Tensor:
    """Return the model's own logits."""
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    logits: Tensor = model(**inputs, use_cache=False).logits
    return logits


def _interrupt(adapter: ModelAdapter, removed: Subset) -> None:
    try:
        with adapter.bypassing(removed):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass


def _check_gates(checker: Checker, adapter: ModelAdapter, batch: Batch) -> None:
    import torch

    with torch.no_grad():
        state = adapter.enter(batch)
        entered = adapter.hidden(state)
        left = adapter.hidden(adapter.block(1, state))
        half = torch.tensor([0.0, 1.0])
        mixed = adapter.hidden(adapter.gated_block(1, state, half))
        one = adapter.hidden(adapter.gated_block(1, state, torch.ones(1)))
        checker.require(
            torch.equal(adapter.hidden(adapter.block(1, state)), left),
            "leaves a gate on the block after `gated_block`; take it off in a `finally`",
        )
    checker.require(close(one, left), "gives something else than `block` with a gate of 1")
    checker.require(
        close(mixed[0], entered[0]) and close(mixed[1], left[1]),
        "must multiply what a block adds by the gate of each row: 0 passes the row on, 1 runs the "
        "block",
    )
    gate = torch.ones(2, requires_grad=True)
    size = adapter.hidden(adapter.gated_block(1, state, gate)).float().square().sum()
    (slope,) = torch.autograd.grad(size, gate, allow_unused=True)
    checker.require(
        slope is not None and slope.isfinite().all() and slope.all(),
        "cannot be differentiated by the gates of a block: run it by tensor operations, outside "
        "torch.no_grad()",
    )


def _through(adapter: ModelAdapter, batch: Batch, removed: Subset = DENSE) -> State:
    state = adapter.enter(batch)
    for index in range(adapter.facts.n_blocks):
        state = state if index in removed else adapter.block(index, state)
    return state


def _logits(adapter: ModelAdapter, state: State, where: Tensor) -> Tensor:
    import torch

    return torch.cat(list(adapter.output(state).logits(where)))
