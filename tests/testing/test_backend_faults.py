"""Planted faults of backends: each is found, with a helpful message."""

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from prunekit.core.registry import load
from prunekit.hf import PrefixMeter, load_adapter
from prunekit.testing import ContractError, check_backend

LOADED = {}


class Meter:
    """Hands everything to a meter in this process."""

    def __init__(self, spec, objective, batches):
        if spec not in LOADED:
            LOADED[spec] = load_adapter(spec)
        self.inner = PrefixMeter(LOADED[spec], objective, batches)
        self.objective = objective
        self.batches = batches
        self.facts = self.inner.facts

    def measure(self, wanted):
        return self.inner.measure(wanted)

    def signal(self, name):
        return self.inner.signal(name)

    def close(self):
        pass


def backend(meter):
    """A backend that opens such meters."""

    @dataclass(frozen=True)
    class Opens:
        """Opens a meter."""

        name: ClassVar[str] = "opens"

        def open(self, spec, objective, batches):
            return meter(spec, objective, batches)

    return Opens()


def test_a_sound_backend_passes():
    check_backend(backend(Meter))


def test_an_instance_is_asked_for():
    opens = backend(Meter)
    with pytest.raises(ContractError, match=r"give check_backend an instance, `Opens\(\)`"):
        check_backend(type(opens))


class LosesLast(Meter):
    def measure(self, wanted):
        return iter(list(self.inner.measure(wanted))[:-1])


class GivesTwice(Meter):
    def measure(self, wanted):
        for piece in self.inner.measure(wanted):
            yield piece
            if piece.batch == 0:
                yield piece


class CountsOwnBatches(Meter):
    """Passes on only the batches that have work, and their new numbers."""

    def measure(self, wanted):
        asked = [number for number, subsets in enumerate(wanted) if subsets]
        for piece in self.inner.measure(wanted):
            yield replace(piece, batch=asked.index(piece.batch))


class Unasked(Meter):
    def measure(self, wanted):
        return self.inner.measure([[frozenset({7})] if wanted[0] else [], *wanted[1:]])


class Tensors(Meter):
    def measure(self, wanted):
        import torch

        for piece in self.inner.measure(wanted):
            yield replace(piece, sums=torch.tensor(piece.sums))


class Unprepared(Meter):
    def __init__(self, spec, objective, batches):
        super().__init__(spec, objective, batches)
        self.inner._prepare = lambda bucket: replace(
            bucket, batch=replace(bucket.batch, extra={"dense": bucket.batch.targets * 0})
        )


class WrongValues(Meter):
    def measure(self, wanted):
        for piece in self.inner.measure(wanted):
            yield replace(piece, sums=tuple(x + 0.1 for x in piece.sums))


class EmptiesRequest(Meter):
    def measure(self, wanted):
        copied = [list(subsets) for subsets in wanted]
        for subsets in wanted:
            subsets.clear()
        return self.inner.measure(copied)


class StaysBroken(Meter):
    """Keeps what is left of a request that was broken off."""

    left = ()

    def measure(self, wanted):
        yield from self.left
        self.left = list(self.inner.measure(wanted))
        while self.left:
            yield self.left.pop(0)


class ClosesOthers(Meter):
    opened: ClassVar[list] = []
    closed = False

    def __init__(self, spec, objective, batches):
        super().__init__(spec, objective, batches)
        self.opened.append(self)

    def measure(self, wanted):
        if self.closed:
            raise RuntimeError("closed")
        return self.inner.measure(wanted)

    def close(self):
        for meter in self.opened:
            meter.closed = True


class OtherFacts(Meter):
    def __init__(self, spec, objective, batches):
        super().__init__(spec, objective, batches)
        self.facts = replace(self.facts, parameters=1)


class SignalOfOneBatch(Meter):
    def signal(self, name):
        return PrefixMeter(self.inner.adapter, self.objective, self.batches[:1]).signal(name)


class Silent(Meter):
    def measure(self, wanted):
        try:
            yield from self.inner.measure(wanted)
        except Exception:
            return


class Vague(Meter):
    def measure(self, wanted):
        try:
            yield from self.inner.measure(wanted)
        except Exception:
            raise RuntimeError("a worker died") from None


class ClosesOnce(Meter):
    def close(self):
        del self.inner


class LeavesProcess(Meter):
    started: ClassVar[list] = []

    def __init__(self, spec, objective, batches):
        super().__init__(spec, objective, batches)
        self.started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"]))


class Prints(Meter):
    def measure(self, wanted):
        print("measuring")
        return self.inner.measure(wanted)


class NoClose(Meter):
    close = property()


FAULTS = [
    (LosesLast, r"loses 1 of 7 pieces, such as batch and subset \[\(2, "),
    (GivesTwice, "gives a piece twice: batch and subset"),
    (CountsOwnBatches, "gives a piece of batch 1 .* which was not asked for"),
    (Unasked, "which was not asked for"),
    (Tensors, "no tuples of plain numbers"),
    (Unprepared, "`prepare` of the objective included"),
    (WrongValues, "one process gives"),
    (EmptiesRequest, "changes the request"),
    (StaysBroken, "gives a piece twice"),
    (ClosesOthers, "after another meter of it was closed: RuntimeError: closed"),
    (OtherFacts, "facts are not those of the model"),
    (SignalOfOneBatch, "gives another signal"),
    (Silent, "passes over an objective that fails"),
    (Vague, "does not pass on what an objective says .* RuntimeError: a worker died"),
    (ClosesOnce, "closing a meter twice: AttributeError"),
    (LeavesProcess, "leaves 3 processes behind"),
    (Prints, "writes to standard output.*'measuring'"),
    (NoClose, "opens a meter without close"),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_is_found(faulty, message, monkeypatch):
    monkeypatch.setattr("prunekit.testing.backends.PATIENCE", 0.0)
    with pytest.raises(ContractError, match=f"(?s)backend 'opens'.*({message})"):
        check_backend(backend(faulty))
    for process in LeavesProcess.started:
        process.kill()
        process.wait()


def test_what_is_heavy_to_import_is_found(install, monkeypatch):
    install(
        "prunekit-heavy",
        "import scipy\n"
        "from prunekit.core import hookimpl\n"
        "from prunekit.plugins.backends.local import Local\n"
        "class Heavy(Local):\n"
        "    'Measures here.'\n"
        "    name = 'heavy'\n"
        "@hookimpl\n"
        "def prunekit_backends(): return [Heavy]\n",
    )
    with pytest.raises(ContractError, match="import scipy.*inside the methods that use it"):
        check_backend(load().get("backend", "heavy").cls())
