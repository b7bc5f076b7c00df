"""Repeat a plugin's work with other random states, another clock and another order of sets.

A stopped search continues in another process, and workers run in others. There the hashes of
strings differ, and the state of modules is lost. A fresh process also shows the cost of importing
the plugin, which every prunekit command pays.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import operator
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prunekit.core.options import build, values_of
from prunekit.core.registry import HEAVY
from prunekit.testing.contract import Checker, require_silence

CODE = "from prunekit.testing.repeat import main; main()"
NOT_HERE = 3
"""Exit status of a process that cannot import the plugin."""


def elsewhere(checker: Checker, work: Callable[..., Any], *more: Any) -> Any:
    """Return the result of `work(plugin, *more)` in another process; None if that is impossible.

    It is impossible for a class defined inside a function, in a notebook or in a test. Writing to
    standard output there, or importing something heavy with the plugin's module, is a fault.
    """
    cls = checker.cls
    if "<" in cls.__qualname__ or cls.__module__ == "__main__":
        return None
    done = _process(
        {
            "work": [work.__module__, work.__qualname__],
            "plugin": [cls.__module__, cls.__qualname__],
            "options": None if checker.plugin is cls else values_of(checker.plugin),
            "more": more,
            "path": sys.path,
        }
    )
    if done.returncode == NOT_HERE:
        return None
    if done.returncode:
        raise RuntimeError(f"another process failed: {done.stderr.strip().splitlines()[-1]}")
    *said, answer = done.stdout.splitlines()
    require_silence(checker, "\n".join(said))
    found = json.loads(answer)
    _require_light(checker, cls.__module__, found["heavy"])
    return found["given"]


def check_import(checker: Checker) -> None:
    """Raise ContractError if importing the plugin prints, or imports something heavy."""
    elsewhere(checker, nothing)


def nothing(plugin: object) -> None:
    """Do no work beyond the import."""


def _process(order: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    return subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )


def _require_light(checker: Checker, module: str, heavy: list[str]) -> None:
    in_a_test = module.rpartition(".")[2].startswith(
        "test_"
    )  # never listed, so it may import anything
    checker.require(
        in_a_test or not heavy,
        f"costs every command the seconds to import {', '.join(heavy)}, which happens when the "
        f"module {module} is imported; import it inside the methods that use it",
    )


def main() -> None:
    """Run the order given on standard input."""
    order = json.loads(sys.stdin.read())
    sys.path[:] = [str(Path(entry or ".")) for entry in order["path"]]
    work = _named(*order["work"])
    before = set(sys.modules)
    try:
        plugin = _named(*order["plugin"])
    except (ImportError, AttributeError):
        sys.exit(NOT_HERE)
    heavy = [name for name in HEAVY if name in sys.modules and name not in before]
    if order["options"] is not None:
        plugin = build(plugin, order["options"], "plugin")
    given = work(plugin, *order["more"])
    sys.stdout.write("\n" + json.dumps({"heavy": heavy, "given": given}) + "\n")


def _named(module: str, qualname: str) -> Any:
    return operator.attrgetter(qualname)(importlib.import_module(module))


CLOCKS = ("time", "monotonic", "perf_counter", "process_time")
HOURS_A_LOOK = 1.0


@contextlib.contextmanager
def no_outside_chance(checker: Checker, source: str) -> Iterator[None]:
    """Report use of the global generators of random, NumPy and torch."""
    import numpy as np  # noqa: F401  (so that its generator is watched)

    restore = _reseed(29)  # a state that no plugin sets by accident
    try:
        before = _states()
        yield
        after = _states()
    finally:
        restore()
    moved = [name for name, state in before.items() if after[name] != state]
    checker.require(
        not moved,
        f"draws from the global generator of {' and '.join(moved)}, or seeds it: chance must come "
        f"from {source}",
    )


@contextlib.contextmanager
def other_circumstances(seed: int) -> Iterator[None]:
    """Change the state of all global generators, and let each clock advance an hour per reading."""
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
    """Seed every global generator; return a function that puts the old states back."""
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
