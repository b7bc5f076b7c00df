"""Find chance that does not come from where it should, and work that depends on the clock."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from prunekit.testing.contract import Judge

CLOCKS = ("time", "monotonic", "perf_counter", "process_time")
HOURS_A_LOOK = 1.0


@contextlib.contextmanager
def no_outside_chance(judge: Judge, source: str) -> Iterator[None]:
    """A fault where the global generators of random, NumPy or torch are drawn from or seeded."""
    import numpy as np  # noqa: F401  (so that its generator can be watched)

    restore = _reseed(29)  # a state in which nobody's own seeding leaves them
    try:
        before = _states()
        yield
        after = _states()
    finally:
        restore()
    moved = [name for name, state in before.items() if after[name] != state]
    judge.require(
        not moved,
        f"draws from the global generator of {' and '.join(moved)}, or seeds it: chance must come "
        f"from {source}",
    )


@contextlib.contextmanager
def other_circumstances(seed: int) -> Iterator[None]:
    """Another state of all global generators, and clocks by which every look costs an hour."""
    clocks = {name: getattr(time, name) for base in CLOCKS for name in (base, f"{base}_ns")}
    restore = _reseed(seed)
    try:
        for name, clock in clocks.items():
            setattr(time, name, _hasty(clock, 10**9 if name.endswith("_ns") else 1))
        yield
    finally:
        for name, clock in clocks.items():
            setattr(time, name, clock)
        restore()


def _hasty(clock: Callable[[], Any], unit: int) -> Callable[[], Any]:
    looks = 0

    def read() -> Any:
        nonlocal looks
        looks += 1
        return clock() + looks * int(HOURS_A_LOOK * 3600) * unit

    return read


def _states() -> dict[str, object]:
    states: dict[str, object] = {"random": random.getstate()}
    if np := sys.modules.get("numpy"):
        state = np.random.get_state(legacy=False)
        states["numpy.random"] = repr({**state, "state": _plain(state["state"])})
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "tolist", lambda v=value: v)() for key, value in state.items()}


def _reseed(seed: int) -> Callable[[], None]:
    """Seed every global generator; what is returned puts the old states back."""
    np, torch = (sys.modules.get(name) for name in ("numpy", "torch"))
    undo: list[Callable[[], Any]] = []
    state = random.getstate()
    undo.append(lambda: random.setstate(state))
    random.seed(seed)
    if np:
        numbers = np.random.get_state()
        undo.append(lambda: np.random.set_state(numbers))
        np.random.seed(seed)
    if torch:
        bits = torch.get_rng_state()
        undo.append(lambda: torch.set_rng_state(bits))
        torch.manual_seed(seed)

    def restore() -> None:
        for step in undo:
            step()

    return restore
