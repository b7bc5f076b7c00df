"""Time the start of prunekit: alone, with 20 more plugins, and with one that imports torch.

    python benchmarks/start_up.py

Each is started several times in turns; the quickest counts, on the clock and of one core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGIN = '''
"""A plugin."""
{first}
from dataclasses import dataclass
from typing import ClassVar
from prunekit.core import hookimpl, option


@dataclass(frozen=True)
class Plain:
    """Removes the first blocks."""

    name: ClassVar[str] = "{name}"
    size: int = option(3, "how many", low=1)

    def search(self, problem):
        yield [frozenset(problem.removable[: problem.budget])]
        return frozenset(problem.removable[: problem.budget])


@hookimpl
def prunekit_searchers():
    return [Plain]
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--starts", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        empty, many, heavy = (Path(folder) / name for name in ("empty", "many", "heavy"))
        for place in (empty, many, heavy):
            place.mkdir()
        for number in range(given.plugins):
            install(many, f"plugin-{number}")
            install(heavy, f"plugin-{number}")
        install(heavy, "imports-torch", first="import torch")
        places = {
            "as it comes": empty,
            f"with {given.plugins} plugins more": many,
            "and one that imports torch": heavy,
        }
        times = {name: [] for name in places}
        for _ in range(given.starts):
            for name, place in places.items():
                times[name].append(start(place))
        print("| `prunekit list-plugins` | seconds | of one core |\n|---|---|---|")
        for name, found in times.items():
            clock, core = (min(column) for column in zip(*found, strict=True))
            print(f"| {name} | {clock:.2f} | {core:.2f} |")
        lines = run(heavy, "-v").stdout.splitlines()
        print("\n" + "\n".join(line for line in lines if line.startswith(("slow", "all"))))


def install(place: Path, name: str, first: str = "") -> None:
    """Put a module where pip would, with the metadata it would write."""
    module = f"prunekit_{name}".replace("-", "_")
    (place / f"{module}.py").write_text(PLUGIN.format(name=name, first=first))
    info = place / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: prunekit-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[prunekit]\n{name} = {module}\n")


def start(place: Path) -> tuple[float, float]:
    """Return seconds of wall time and of processor time."""
    before, clock = os.times(), time.perf_counter()
    run(place)
    clock, after = time.perf_counter() - clock, os.times()
    children = (after.children_user, after.children_system)
    return clock, sum(children) - before.children_user - before.children_system


def run(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `prunekit list-plugins` with these plugins installed too."""
    return subprocess.run(
        [sys.executable, "-m", "prunekit", "list-plugins", *more],
        env={**os.environ, "PYTHONPATH": str(place), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )


if __name__ == "__main__":
    main()
