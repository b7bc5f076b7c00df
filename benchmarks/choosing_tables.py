"""Print the tables of what `choosing.py` has measured so far.

    python benchmarks/choosing_tables.py WORKDIR

Means are over draws of the calibration set, `±` is the standard error of the mean over draws.
Losses are on test text, in nats per token above the dense model.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

RANKINGS = ("angular", "block-influence", "relative-magnitude")
ROWS = "choosing.jsonl"
ALL = "mean of all"
KEYS = ("tests", "five_tests", "winner_tests")
HEAD = (
    "own choice | best of its five | winner | five - own | winner - own | winner - best ranking "
    "| won by a ranking"
)
STABLE_HEAD = "overfitting | agreement predicted | observed | of winners"
Row: TypeAlias = Mapping[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows measured so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tables(rows: Sequence[Row]) -> str:
    """Return one table for each size and test, one of stability for each size, and the margin's."""
    lines: list[str] = []
    for size in dict.fromkeys(row["size"] for row in rows if row["objective"] == "ppl"):
        here = finished([row for row in rows if row["size"] == size])
        draws = len(draws_of(here))
        for test in here[0]["tests"] if here else ():
            lines += [f"\n### {size}, {draws} draws, on {test}\n", *table(here, test)]
        lines += [f"\n### {size}, {draws} draws\n", *stability_table(here)] if here else []
    if questions := [row for row in rows if row["objective"] != "ppl"]:
        lines += ["\n### questions\n", *question_table(questions)]
    return "\n".join(lines)


def finished(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of draws on which every searcher ran."""
    names = {row["searcher"] for row in rows}
    by_draw = {draw: {r["searcher"] for r in rows if r["draw"] == draw} for draw in draws_of(rows)}
    return [row for row in rows if by_draw[row["draw"]] == names]


def draws_of(rows: Sequence[Row]) -> list[int]:
    return sorted({row["draw"] for row in rows})


def searchers_of(rows: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(row["searcher"] for row in rows)
    return [name for name in names if name not in RANKINGS]


def table(rows: Sequence[Row], test: str) -> Iterator[str]:
    yield from head("", HEAD)
    means = {name: statistics.mean(by_draw(rows, name, "tests", test)) for name in RANKINGS}
    best = pick(means, test)
    for name, mean in means.items():
        yield f"| {name}{' (best)' if name == best else ''} | {number(mean, test)} | | | | | | |"
    ranked = by_draw(rows, best, "tests", test)
    parts = []
    for name in searchers_of(rows):
        parts.append([by_draw(rows, name, key, test) for key in KEYS])
        by_ranking = [row["found_by"] != name for row in rows if row["searcher"] == name]
        yield line(name, parts[-1], ranked, f"{sum(by_ranking)} of {len(by_ranking)}", test)
    of_all = [[statistics.mean(x) for x in zip(*p, strict=True)] for p in zip(*parts, strict=True)]
    yield line(ALL, of_all, ranked, "", test)


def pick(means: Mapping[str, float], test: str) -> str:
    """Return the ranking that is best on the test itself: no user can do better with rankings."""
    choose: Callable[..., str] = max if test == "items" else min
    return choose(means, key=means.__getitem__)


def line(
    name: str, found: Sequence[Sequence[float]], ranked: Sequence[float], note: str, test: str
) -> str:
    """Write one row from the test results of each draw, in the order of KEYS."""
    own, five, won = found
    cells = [name, *(number(statistics.mean(x), test) for x in found)]
    cells += [paired(five, own, test), paired(won, own, test), paired(won, ranked, test), note]
    return f"| {' | '.join(cells)} |"


def number(value: float, test: str) -> str:
    return f"{value:+.1f}" if test == "items" else f"{value:.3f}"


def paired(these: Sequence[float], those: Sequence[float], test: str = "") -> str:
    """Write the mean of differences within draws, with its standard error."""
    gaps = [a - b for a, b in zip(these, those, strict=True)]
    digits = 1 if test == "items" else 3
    mean = f"{statistics.mean(gaps):+.{digits}f}"
    return f"{mean} ± {standard_error(gaps):.{digits}f}" if len(gaps) > 1 else mean


def standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def by_draw(rows: Sequence[Row], name: str, key: str, test: str) -> list[float]:
    found = {row["draw"]: row[key][test] for row in rows if row["searcher"] == name}
    return [found[draw] for draw in sorted(found)]


def stability_table(rows: Sequence[Row]) -> Iterator[str]:
    yield from head("", STABLE_HEAD)
    for name in searchers_of(rows):
        mine = [row for row in rows if row["searcher"] == name]
        overfitting = [row["overfitting"] for row in mine]
        predicted = [row["agreement"] for row in mine if row["agreement"] is not None]
        cells = [name, mean_of(overfitting)]
        cells += [f"{statistics.mean(predicted):.2f}" if predicted else ""]
        cells += [f"{observed(mine, key):.2f}" for key in ("own", "winner")]
        yield f"| {' | '.join(cells)} |"


def observed(rows: Sequence[Row], key: str) -> float:
    """Return the mean share of blocks that two draws choose alike."""
    pairs = combinations([set(row[key]) for row in rows], 2)
    return statistics.fmean([len(a & b) / len(a) for a, b in pairs] or [math.nan])


def question_table(rows: Sequence[Row]) -> Iterator[str]:
    tests = list(rows[0]["tests"])
    columns = ["draws", "own choice, calibration", "winner, calibration"]
    columns += [f"{who}, {test}" for test in tests for who in ("own choice", "winner")]
    yield from head("objective", " | ".join(columns))
    for objective in ("margin", "choice"):
        mine = [row for row in rows if row["objective"] == objective]
        cells = [objective, str(len(mine))]
        cells += [mean_of([row[key] for row in mine]) for key in ("loss", "winner_loss")]
        for test in tests:
            for key in ("tests", "winner_tests"):
                cells.append(mean_of([row[key][test] for row in mine], test))
        yield f"| {' | '.join(cells)} |"


def mean_of(values: Sequence[float], test: str = "") -> str:
    return paired(values, [0.0] * len(values), test) if values else ""


def head(first: str, columns: str) -> list[str]:
    return [f"| {first} | {columns} |", "|---" * (columns.count("|") + 2) + "|"]


if __name__ == "__main__":
    print(tables(read_rows(Path(sys.argv[1], ROWS))))
