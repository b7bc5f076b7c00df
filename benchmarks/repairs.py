"""Are blocks that are chosen under repair better than blocks that are repaired afterwards?

    python benchmarks/repairs.py MODEL --text TEXT.jsonl --test TEST.jsonl
        [--repairs least-squares,magnitude] [--draws 10] [--largest 8] [--size 4x48]
        [--refit 4,7] [--refit-draws 3] [--workdir repairs]

For each draw of the calibration set, `greedy` and `one-shot` choose 2 to `--largest` blocks, bare
and under each repair. Every choice is then measured on test text that nobody searched or fitted on:
bare, and with the patches that a search has. For the budgets of `--refit` the patches of the first
draws are fitted again too, as a search does at its end. Patches are fitted once, on text apart from
all others, and are the same for all draws.

The rows of a draw are appended to repairs.jsonl when they are known, and a run that is stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from prunekit.core.batch import Batch
from prunekit.core.driver import Driver
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.options import build
from prunekit.core.problem import Problem, Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.quiet import quiet_libraries
from prunekit.engine.repairing import fitting_of
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.refit import refit, with_patches
from prunekit.hf.tokens import batches_of

AT_ONCE = 8192
FIT = {"samples": 32, "length": 256, "seed": 1000}
"""The windows whose followers patches are fitted on."""
TEST = {"samples": 12, "length": 128}
BARE = "bare"


def main() -> None:
    quiet_libraries()
    given = arguments()
    given.workdir.mkdir(exist_ok=True)
    log = given.workdir / "repairs.jsonl"
    known = rows_in(log)
    bench = Bench(given)
    with log.open("a", encoding="utf-8") as file:
        for draw in range(given.draws):
            if not any(row["draw"] == draw for row in known):
                for row in bench.draw(draw):
                    print(json.dumps(row), file=file, flush=True)
    print(tables(rows_in(log)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--text", required=True, help="calibration text, and text to fit on")
    parser.add_argument("--test", required=True, help="test text")
    parser.add_argument("--repairs", default="least-squares,magnitude")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--largest", type=int, default=8)
    parser.add_argument("--size", default="4x48", help="SAMPLESxTOKENS")
    parser.add_argument("--refit", default="4,7", help="budgets")
    parser.add_argument("--refit-draws", type=int, default=3)
    parser.add_argument("--workdir", type=Path, default=Path("repairs"))
    return parser.parse_args()


def rows_in(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Bench:
    """One model, bare and under each repair."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        registry, spec = load(), Spec(given.model)
        checkpoint = find(spec, registry)
        self.tokenizer = checkpoint.tokenizer()
        self.text = registry.get("objective", "ppl").cls
        self.plain = load_adapter(spec)
        self.adapters: dict[str, Any] = {BARE: self.plain}
        fit_on = self.text(data=given.text, **FIT)
        for name in given.repairs.split(","):
            repair = build(registry.get("repair", name).cls, {})
            fitting = fitting_of(repair, [fit_on], 8192)
            self.adapters[name] = fitting.applied(self.plain, checkpoint, AT_ONCE)
        self.test = self.batches(given.test, **TEST, seed=0)

    def batches(self, data: str, **options: Any) -> list[Batch]:
        """Return windows of a text."""
        samples = self.text(data=data, **options).calibration_set(self.tokenizer)
        return batches_of(list(samples), AT_ONCE)

    def draw(self, draw: int) -> Iterator[dict[str, Any]]:
        """Yield a row for each choice."""
        samples, length = map(int, self.given.size.split("x"))
        batches = self.batches(self.given.text, samples=samples, length=length, seed=draw)
        dense = self.tested(self.plain, frozenset())
        for chosen_under, adapter in self.adapters.items():
            start = time.process_time()
            choices = list(chosen(adapter, batches, self.given.largest))
            took = time.process_time() - start
            for searcher, removed in choices:
                row = {"draw": draw, "searcher": searcher, "chosen_under": chosen_under}
                tests = self.tests(removed, chosen_under, draw)
                above = {name: loss - dense for name, loss in tests.items()}
                yield row | {"removed": sorted(removed), "seconds": took, "tests": above}

    def tests(self, removed: Subset, chosen_under: str, draw: int) -> dict[str, float]:
        """Return the test losses of a choice: bare, and with the patches that concern it."""
        concerned = self.adapters if chosen_under == BARE else (chosen_under,)
        found = {name: self.tested(self.adapters[name], removed) for name in concerned}
        if str(len(removed)) in self.given.refit.split(",") and draw < self.given.refit_draws:
            for name in concerned:
                if name != BARE:
                    patches = refit(self.adapters[name].patch_of, removed).patches
                    refitted = with_patches(self.plain, patches)
                    found[f"{name}, again"] = self.tested(refitted, removed)
        return found

    def tested(self, adapter: ModelAdapter, removed: Subset) -> float:
        """Return the loss on the test text."""
        return losses(adapter, self.test, [removed])[removed]


def chosen(
    adapter: ModelAdapter, batches: Sequence[Batch], largest: int
) -> Iterator[tuple[str, Subset]]:
    """Yield the choices of greedy and one-shot for each budget, by one search of each."""
    known: dict[Subset, float] = {}

    def measure(subsets: Sequence[Subset]) -> list[float]:
        new = [subset for subset in dict.fromkeys(subsets) if subset not in known]
        known.update(losses(adapter, batches, new) if new else {})
        return [known[subset] for subset in subsets]

    registry, n = load(), adapter.facts.n_blocks
    for name in ("greedy", "one-shot"):
        searcher = build(registry.get("searcher", name).cls, {})
        for budget in range(2, largest + 1):
            removed = Driver(searcher, Problem(n, budget)).run(measure).removed
            assert removed is not None
            yield name, removed


def losses(
    adapter: ModelAdapter, batches: Sequence[Batch], subsets: Sequence[Subset]
) -> dict[Subset, float]:
    meter = PrefixMeter(adapter, load().get("objective", "ppl").cls(), batches)
    sums = dict.fromkeys(subsets, 0.0)
    weights = dict.fromkeys(subsets, 0.0)
    for piece in meter.measure([subsets] * len(batches)):
        sums[piece.subset] += math.fsum(piece.sums)
        weights[piece.subset] += math.fsum(piece.weights)
    return {subset: sums[subset] / weights[subset] for subset in subsets}


def tables(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one table a searcher and repair: means over draws, and paired differences."""
    repairs = [name for name in dict.fromkeys(r["chosen_under"] for r in rows) if name != BARE]
    lines: list[str] = []
    for searcher in dict.fromkeys(row["searcher"] for row in rows):
        for repair in repairs:
            lines += [
                f"\n{searcher}, {repair}: nats per token above dense, on test text\n",
                "| blocks | bare | repaired | chosen under repair | repaired - bare "
                "| chosen under - repaired | not worse |",
                "|---|---|---|---|---|---|---|",
            ]
            for budget in sorted({len(row["removed"]) for row in rows}):
                lines.append(line(rows, searcher, repair, budget))
    lines += ["\nfitted again, the draws that have it\n", *again(rows, repairs)]
    return "\n".join(lines)


def line(rows: Sequence[Mapping[str, Any]], searcher: str, repair: str, budget: int) -> str:
    here = [r for r in rows if r["searcher"] == searcher and len(r["removed"]) == budget]
    bare = [r["tests"][BARE] for r in here if r["chosen_under"] == BARE]
    after = [r["tests"][repair] for r in here if r["chosen_under"] == BARE]
    under = [r["tests"][repair] for r in here if r["chosen_under"] == repair]
    gain = [a - b for a, b in zip(after, bare, strict=True)]
    more = [u - a for u, a in zip(under, after, strict=True)]
    better = sum(x <= 0 for x in more)
    cells = [f"{statistics.mean(x):.3f}" for x in (bare, after, under)]
    return "| " + " | ".join(
        [str(budget), *cells, signed(gain), signed(more), f"{better} of {len(more)} |"]
    )


def again(rows: Sequence[Mapping[str, Any]], repairs: Sequence[str]) -> Iterator[str]:
    yield "| repair | blocks | chosen | as searched | fitted again | difference |"
    yield "|---|---|---|---|---|---|"
    for repair in repairs:
        key = f"{repair}, again"
        having = [row for row in rows if key in row["tests"]]
        for budget in sorted({len(row["removed"]) for row in having}):
            for under in (BARE, repair):
                here = [
                    r for r in having if len(r["removed"]) == budget and r["chosen_under"] == under
                ]
                pairs = [(r["tests"][repair], r["tests"][key]) for r in here]
                before, after = (statistics.mean(x) for x in zip(*pairs, strict=True))
                gaps = signed([b - a for a, b in pairs])
                yield f"| {repair} | {budget} | {under} | {before:.3f} | {after:.3f} | {gaps} |"


def signed(values: Sequence[float]) -> str:
    """Return the mean with its standard error over draws."""
    if len(values) < 2:
        return f"{statistics.mean(values):+.3f}"
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):+.3f} ± {error:.3f}"


if __name__ == "__main__":
    with torch.no_grad():
        main()
