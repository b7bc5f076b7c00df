"""Do the same work in a fresh process, where sets of words have another order.

A search that was stopped goes on in another process, and so do workers. There the hashes of strings
differ, and nothing is left of what a module remembered.
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

CODE = "from prunekit.core.testing.elsewhere import main; main()"
NOT_HERE = 3
"""Exit status of a process that cannot import the plugin."""


def elsewhere(work: Callable[..., Any], plugin: object, *more: Any) -> Any:
    """What `work(plugin, *more)` gives in another process, as JSON; None where it cannot be done.

    It cannot for a class that is defined inside a function, in a notebook or in a test.
    """
    cls = type(plugin)
    if "<" in cls.__qualname__ or cls.__module__ == "__main__":
        return None
    order = {
        "work": [work.__module__, work.__qualname__],
        "plugin": [cls.__module__, cls.__qualname__],
        "options": values_of(plugin),
        "more": more,
        "path": sys.path,
    }
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    if done.returncode == NOT_HERE:
        return None
    if done.returncode:
        raise RuntimeError(f"another process failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Carry out the order on standard input."""
    order = json.loads(sys.stdin.read())
    sys.path[:] = [str(Path(entry or ".")) for entry in order["path"]]
    work = _named(*order["work"])
    try:
        cls = _named(*order["plugin"])
    except (ImportError, AttributeError):
        sys.exit(NOT_HERE)
    plugin = build(cls, order["options"], "plugin")
    sys.stdout.write("\n" + json.dumps(work(plugin, *order["more"])) + "\n")


def _named(module: str, qualname: str) -> Any:
    found: Any = importlib.import_module(module)
    for word in qualname.split("."):
        found = getattr(found, word)
    return found
