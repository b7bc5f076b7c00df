"""Do the same work in a fresh process, where sets of words have another order.

A search that was stopped goes on in another process, and so do workers. There the hashes of strings
differ, and nothing is left of what a module remembered. It also shows what importing a plugin does,
as every command of prunekit does it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunekit.core.options import build, values_of
from prunekit.core.registry import HEAVY
from prunekit.testing.contract import Judge
from prunekit.testing.output import require_silence

CODE = "from prunekit.testing.elsewhere import main; main()"
NOT_HERE = 3
"""Exit status of a process that cannot import the plugin."""


def elsewhere(judge: Judge, work: Callable[..., Any], *more: Any) -> Any:
    """What `work(plugin, *more)` gives in another process, as JSON; None where it cannot be done.

    It cannot for a class that is defined inside a function, in a notebook or in a test. It is a
    fault to write to standard output there, or to import something heavy with the plugin's module.
    """
    cls = judge.cls
    if "<" in cls.__qualname__ or cls.__module__ == "__main__":
        return None
    done = _process(
        {
            "work": [work.__module__, work.__qualname__],
            "plugin": [cls.__module__, cls.__qualname__],
            "options": None if judge.plugin is cls else values_of(judge.plugin),
            "more": more,
            "path": sys.path,
        }
    )
    if done.returncode == NOT_HERE:
        return None
    if done.returncode:
        raise RuntimeError(f"another process failed: {done.stderr.strip().splitlines()[-1]}")
    *said, answer = done.stdout.splitlines()
    require_silence(judge, "\n".join(said))
    found = json.loads(answer)
    _require_light(judge, cls.__module__, found["heavy"])
    return found["given"]


def check_import(judge: Judge) -> None:
    """Raise ContractError where importing the plugin costs or prints more than it should."""
    elsewhere(judge, nothing)


def nothing(plugin: object) -> None:
    """No work beyond the import."""


def _process(order: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    return subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )


def _require_light(judge: Judge, module: str, heavy: list[str]) -> None:
    in_a_test = module.rpartition(".")[2].startswith("test_")  # never listed, so may import all
    judge.require(
        in_a_test or not heavy,
        f"costs every command the seconds to import {', '.join(heavy)}, which happens when the "
        f"module {module} is imported; import it inside the methods that use it",
    )


def main() -> None:
    """Carry out the order on standard input."""
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
    found: Any = importlib.import_module(module)
    for word in qualname.split("."):
        found = getattr(found, word)
    return found
