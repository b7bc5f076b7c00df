"""Feed prunekit mutated files, and report every command that does not end as users may expect.

    python tests/fuzz/fuzz.py --seconds 60 --seed 0
    python tests/fuzz/fuzz.py --seed 0 --replay 17

Every input is one valid file with a change, read by one command in this process. It must end with
status 0, 1 or 2 within 20 s; a failure is one line; files that it is not there to write stay as
they are.
"""

import argparse
import collections
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from running import digests, faults, run_patiently
from targets import BY_NAME, ONE, TARGETS
from world import build

from prunekit.engine.quiet import quiet_libraries

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
CHANGED = "no longer the model that was searched"
"""An error that names the model, since that may have changed as well as the file."""
ENVIRONMENT = {**OFFLINE, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
MEMORY = 16 * 2**30
"""Bytes of addresses: a model that claims to be huge fails instead of filling the machine."""


class World:
    """Valid files in the current folder, put back after each input."""

    def __init__(self, folder):
        self.folder = folder / "world"
        self.kept = folder / "kept"
        self.folder.mkdir()
        os.chdir(self.folder)
        build(self.folder)
        shutil.copytree(self.folder, self.kept)
        self.digests = digests(self.folder)

    def restore(self):
        """Undo what an input did."""
        now = digests(self.folder)
        for name in {*now, *self.digests}:
            path = self.folder / name
            if now.get(name) == self.digests.get(name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if name in self.digests:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.kept / name, path)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not (self.kept / path.relative_to(self.folder)).exists():
                shutil.rmtree(path)


def try_one(world, seed, index, only=""):
    """Run one input; return its target, its command, the file, the outcome and the faults."""
    rng = random.Random(f"{seed} {index}")
    targets = [target for target in TARGETS if only in target.name]
    (target,) = rng.choices(targets, [target.weight for target in targets])
    pattern = rng.choice(target.patterns)
    path = rng.choice(sorted(world.folder.glob(pattern)))
    if rng.random() < 0.85:
        _replace(path, BY_NAME[path.suffix](path.read_bytes(), rng))
    else:
        _misplace(path, world, rng)
    words, writes = rng.choice(target.commands)
    name = str(path.relative_to(world.folder))
    meant = {"FILE": name, "HERE": str(Path(name).parent), ONE: str(next(Path().glob(ONE)))}
    argv = [meant.get(word, word) for word in words]
    before = digests(world.folder)
    outcome = run_patiently(argv)
    names = (path.name, path.parent.name, CHANGED) if target.is_stored else ()
    after = digests(world.folder)
    found = list(faults(outcome, before, after, writes, names, "--json" in argv))
    return target.name, argv, name, outcome, found


def _replace(path, content):
    """Write another file of this name: what is mapped into memory cannot become shorter."""
    path.unlink()
    path.write_bytes(content)


def _misplace(path, world, rng):
    """Put another file in its place, or a folder, or a link that leads nowhere, or nothing."""
    kind = rng.random()
    if kind < 0.6:
        files = [other for other in world.folder.rglob("*") if other.suffix == path.suffix]
        _replace(path, rng.choice(sorted(files)).read_bytes())
        return
    path.unlink()
    if kind < 0.75:
        path.mkdir()
    elif kind < 0.9:
        path.symlink_to(rng.choice(["nowhere", path.name, "/"]))


def main():
    """Try inputs until the time or their number is over; return 1 if one failed."""
    options = _options()
    os.environ.update(ENVIRONMENT)
    quiet_libraries()  # before anything imports them, as a command does
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts, failed, kinds = collections.Counter(), collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/datasets"
        world = World(Path(folder))
        if options.replay is not None:
            return _replay(world, options)
        end, index = time.monotonic() + options.seconds, options.start
        while time.monotonic() < end and index < options.start + options.inputs:
            target, argv, name, _, found = try_one(world, options.seed, index, options.only)
            world.restore()
            counts[target] += 1
            failed[target] += bool(found)
            for fault in found:
                where = f"--seed {options.seed} --replay {index}"
                print(f"{where}{_flag(options)}: {target}: {name}: {' '.join(argv)}: {fault}")
                kinds[fault.partition(":")[0]] += 1
            sys.stdout.flush()
            index += 1
    for target, count in sorted(counts.items()):
        print(f"{target:24}{count:6} inputs{failed[target]:6} failures")
    print(f"{counts.total()} inputs, {failed.total()} failures {dict(kinds) or ''}")
    return int(failed.total() > 0)


def _replay(world, options):
    target, argv, name, outcome, found = try_one(world, options.seed, options.replay, options.only)
    print(f"{target}: {name}: prunekit {' '.join(argv)}\nstatus {outcome.status}")
    print(f"{outcome.out[-2000:]}\n{outcome.err}\n{outcome.trace}")
    print("\n".join(found) or "as it should be")
    if options.keep:
        shutil.copy(world.folder / name, options.keep)
    return int(bool(found))


def _flag(options):
    return f" --only {options.only!r}" if options.only else ""


def _options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--inputs", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--only", default="", help="part of the name of a target")
    parser.add_argument("--replay", type=int, help="run this input alone, and print everything")
    parser.add_argument("--keep", type=Path, help="with --replay: copy the mutated file there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
