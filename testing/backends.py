"""The contract of a backend."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.errors import ConfigError, one_line
from prunekit.core.interfaces import Backend, Meter, ModelAdapter, Objective, Output, Signal, Table
from prunekit.core.measurement import Piece
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.spec import Spec
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.testing.contract import Checker, ContractError, silent
from prunekit.testing.repeat import check_import
from prunekit.testing.toys import demo_adapter, demo_spec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

LENGTHS = (12, 5, 9, 7, 12)
ROUNDING = 1e-4
PATIENCE = 10.0
"""Seconds allowed for processes to end."""
SUBSETS = (DENSE, *map(frozenset, ([2], [2, 3], [0, 1], [1])))
WANTED = (SUBSETS[:3], (), SUBSETS[1:])
"""The subsets requested of three batches."""


@dataclass(frozen=True)
class RiseOverDense(Objective):
    """The drop in likelihood of each text from the dense model; depends on `prepare`."""

    name: ClassVar[str] = "rise-over-dense"
    unit: ClassVar[str] = "nats per token"

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        """Return synthetic texts of several lengths; no tokenizer is needed."""
        import torch

        rows = [(torch.arange(length + 1) * (7 + length) % 61 + 3)[None] for length in LENGTHS]
        return [{"input_ids": row[:, :-1], "targets": row[:, 1:]} for row in rows]

    def prepare(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Keep the dense model's log-probabilities."""
        return {"dense": output.token_logprobs(batch.targets)}

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the rise and the number of tokens of each text."""
        rise = batch.extra["dense"] - output.token_logprobs(batch.targets)
        return rise.double().cpu().sum(1), (batch.targets != IGNORE).sum(1)


@dataclass(frozen=True)
class Refusing(RiseOverDense):
    """An objective that fails."""

    name: ClassVar[str] = "refusing"

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Raise an error that looks like a mistake of the user."""
        raise ConfigError("this objective refuses to measure")


def sample_losses(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return the dense model's loss on each sample, `[samples][1]`."""
    import torch

    rows: list[list[float]] = []
    with torch.no_grad():
        for batch in batches:
            state = adapter.enter(batch)
            for index in range(adapter.facts.n_blocks):
                state = adapter.block(index, state)
            sums, weights = objective.measure(adapter.output(state), batch)
            rows += [[value] for value in (sums / weights).tolist()]
    return rows


def synthetic_losses(n_blocks: int) -> Table:
    """Return one loss."""
    return [[1.0 + n_blocks]]


SIGNALS = (Signal("sample_losses", sample_losses, synthetic_losses, rows="samples", columns="one"),)
"""Their tables show whether a backend measures every batch, in order."""


def check_backend(backend: Backend) -> None:
    """Raise ContractError unless what the backend opens measures as one process does.

    There must be one piece for each subset and batch asked for, none lost, none twice, each with
    its batch's number and one value a sample, equal to what a PrefixMeter gives; also after a
    request was broken off, and with two meters open at once. Signals must be the same. An objective
    that fails must not be passed over in silence, and after `close` no process may be left.
    Nothing may be written to standard output, and nothing heavy be imported with the module.
    """
    checker = Checker("backend", backend)
    checker.check_class()
    checker.check_copies()
    with silent(checker):
        _check_meters(checker, backend)
    check_import(checker)


def _check_meters(checker: Checker, backend: Backend) -> None:
    objective = RiseOverDense()
    batches = batches_of(objective.calibration_set(None), 24)  # type: ignore[arg-type]
    expected = PrefixMeter(demo_adapter(), objective, batches)
    with checker.unchanged(), _no_process_left(checker):
        with _opened(checker, backend, demo_spec(), objective, batches) as meter:
            _check_facts(checker, meter, expected)
            _check_pieces(checker, meter, expected, batches)
            _check_broken_off(checker, meter, expected)
            with _opened(checker, backend, demo_spec(), objective, batches):
                pass
            with checker.doing("measuring after another meter of it was closed"):
                _compare(checker, meter, expected)
            _check_signals(checker, meter, expected)
        with checker.doing("closing a meter twice"):
            meter.close()
        _check_refusal(checker, backend, batches)


@contextmanager
def _opened(
    checker: Checker, backend: Backend, spec: Spec, objective: Any, batches: Sequence[Batch]
) -> Iterator[Meter]:
    with checker.doing("opening a meter"):
        meter = backend.open(spec, objective, batches)
    missing = [name for name in ("measure", "signal", "close") if not hasattr(meter, name)]
    checker.require(not missing, f"opens a meter without {', '.join(missing)}")
    try:
        yield meter
    finally:
        with checker.doing("closing a meter"):
            meter.close()


def _check_facts(checker: Checker, meter: Meter, expected: Meter) -> None:
    found, facts = meter.facts, expected.facts
    checker.require(
        (found.n_blocks, found.parameters, tuple(found.block_parameters))
        == (facts.n_blocks, facts.parameters, tuple(facts.block_parameters))
        and found.fingerprint.get("weights") == facts.fingerprint["weights"],
        f"opens a meter whose facts are not those of the model: {found}",
    )


def _check_pieces(
    checker: Checker, meter: Meter, expected: Meter, batches: Sequence[Batch]
) -> None:
    with checker.doing("measuring"):
        checker.require(
            not list(meter.measure([[] for _ in batches])), "measures something when asked nothing"
        )
        _compare(checker, meter, expected)


def _compare(checker: Checker, meter: Meter, expected: Meter) -> None:
    wanted = _wanted()
    pieces = list(meter.measure(wanted))
    checker.require(wanted == _wanted(), "changes the request that it is given; copy it first")
    for piece in pieces:
        _check_form(checker, piece, wanted)
    keys = [(piece.batch, sorted(piece.subset)) for piece in pieces]
    twice = [key for key in keys if keys.count(key) > 1]
    checker.require(not twice, f"gives a piece twice: batch and subset {twice[:1]}")
    oracle = {(p.batch, p.subset): p for p in expected.measure(wanted)}
    lost = [(b, words(s)) for b, s in oracle if (b, sorted(s)) not in keys]
    checker.require(
        not lost, f"loses {len(lost)} of {len(oracle)} pieces, such as batch and subset {lost[:1]}"
    )
    for piece in pieces:
        _check_values(checker, piece, oracle[piece.batch, piece.subset])


def _wanted() -> list[list[Subset]]:
    return [list(subsets) for subsets in WANTED]


def _check_form(checker: Checker, piece: Any, wanted: Sequence[Sequence[Subset]]) -> None:
    checker.require(isinstance(piece, Piece), f"gives {piece!r}; expected a Piece")
    checker.require(
        piece.batch in range(len(wanted)) and piece.subset in wanted[piece.batch],
        f"gives a piece of batch {piece.batch} and blocks {words(piece.subset)}, which was not "
        "asked for; `batch` is the place in `wanted`, not in what a worker was sent",
    )
    checker.require(
        all(isinstance(row, tuple) for row in (piece.sums, piece.weights))
        and all(isinstance(x, (int, float)) for x in (*piece.sums, *piece.weights)),
        "gives pieces whose sums and weights are no tuples of plain numbers; use .tolist()",
    )


def _check_values(checker: Checker, piece: Piece, oracle: Piece) -> None:
    same = len(piece.sums) == len(oracle.sums) and all(
        abs(a - b) <= ROUNDING * max(1.0, abs(b))
        for a, b in zip(piece.sums, oracle.sums, strict=True)
    )
    checker.require(
        same and piece.weights == oracle.weights,
        f"measures {piece.sums} and {piece.weights} on batch {piece.batch} without blocks "
        f"{words(piece.subset)}; one process gives {oracle.sums} and {oracle.weights}. PrefixMeter "
        "does what is needed, `prepare` of the objective included",
    )


def _check_broken_off(checker: Checker, meter: Meter, expected: Meter) -> None:
    """Check a request that is closed half-way, as by Ctrl-C."""
    with checker.doing("breaking a request off"):
        pieces = iter(meter.measure(_wanted()))
        next(pieces)
        if isinstance(pieces, Generator):
            pieces.close()
    with checker.doing("measuring after a request was broken off"):
        _compare(checker, meter, expected)


def _check_signals(checker: Checker, meter: Meter, expected: Meter) -> None:
    for signal in SIGNALS:
        with checker.doing(f"measuring the signal {signal.name!r}"):
            found = [list(row) for row in meter.signal(signal)]
        oracle = [list(row) for row in expected.signal(signal)]
        scale = max(abs(x) for row in oracle for x in row)
        checker.require(
            [len(row) for row in found] == [len(row) for row in oracle]
            and all(
                abs(a - b) <= 1e-3 * scale
                for mine, theirs in zip(found, oracle, strict=True)
                for a, b in zip(mine, theirs, strict=True)
            ),
            f"gives another signal {signal.name!r} than one process; "
            "it is of all batches, in order",
        )


def _check_refusal(checker: Checker, backend: Backend, batches: Sequence[Batch]) -> None:
    with _opened(checker, backend, demo_spec(), Refusing(), batches) as meter:
        try:
            list(meter.measure(_wanted()))
        except Exception as error:
            if "refuses to measure" not in str(error):
                raise ContractError(
                    f"{checker.who} does not pass on what an objective says when it fails: "
                    f"{one_line(error)}"
                ) from error
            return
    checker.require(False, "passes over an objective that fails; let its error through")


@contextmanager
def _no_process_left(checker: Checker) -> Iterator[None]:
    before = _children()
    yield
    end = time.monotonic() + PATIENCE
    while (left := _children() - before) and time.monotonic() < end:
        time.sleep(0.05)
    checker.require(
        not left, f"leaves {len(left)} processes behind after `close`: {sorted(left)}; end them"
    )


def _children() -> set[int]:
    """Return the processes that descend from this one; on Linux only."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it just ended
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}
