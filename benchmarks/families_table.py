"""Rebuild the table of docs/families.md, with every model type of transformers.

    python benchmarks/families_table.py                  # all, takes some minutes
    python benchmarks/families_table.py llama qwen3      # these rows
    python benchmarks/families_table.py --check          # writes nothing, fails if a row differs

Each model runs in its own process, so a crash affects its row only. A fault, which is neither an
exact model nor a refusal, is printed, gets no row and ends in status 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
import textwrap
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from families.build import build, names, removed_from
from families.outcome import YES, Outcome, outcome

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "families.md", ROOT / "README.md"
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
HEAD = "| model type | removed | search | checkpoint |\n|---|---|---|---|\n"
ROW = re.compile(r"^\| `([^`]*)` \| ([0-9, ]*) \| (.+?) \| (.+) \|$", re.MULTILINE)
UNBUILT = re.compile(r"^- `([^`]*)`: (.*)$", re.MULTILINE)
SECONDS = 180


class NotBuilt(Exception):
    """transformers builds no tiny model of this type."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="models; by default all")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    given = parser.parse_args()
    import_all()
    before = read_page() if given.names else ({}, {})
    rows, not_built, faults = *before, {}
    for name in given.names or names():
        kind, found = in_a_process(name)
        for known in (rows, not_built):
            known.pop(name, None)
        {"row": rows, "not built": not_built, "fault": faults}[kind][name] = found
        print(f"{name}: {kind}: {found}", flush=True)
    print(f"{len(rows)} rows, {len(not_built)} not built, {len(faults)} faults")
    if not given.check:
        write(rows, not_built)
        return bool(faults)
    differ = (rows, not_built) != read_page()
    print("the page says something else" if differ else "the page says the same")
    return bool(faults or differ)


def import_all() -> None:
    """Import everything in the parent, by trying one model, so that children need not."""
    import torch
    import transformers

    from prunekit.engine.quiet import quiet_libraries

    quiet_libraries()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    row_of("llama")


def in_a_process(name: str) -> tuple[str, object]:
    """Return the outcome of a model, or the error."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(name, there))
    child.start()
    there.close()
    try:
        found = here.recv() if here.poll(SECONDS) else ("fault", f"took over {SECONDS} seconds")
    except EOFError:
        child.join()
        found = ("fault", f"died with exit code {child.exitcode}")
    child.kill()
    child.join()
    return found


def _child(name: str, answer: Connection) -> None:
    try:
        answer.send(("row", row_of(name)))
    except NotBuilt as error:
        answer.send(("not built", str(error)))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:300]
        at = f"{Path(where.filename).name}:{where.lineno}"
        answer.send(("fault", f"{type(error).__name__}: {said} ({at})"))


def row_of(name: str) -> Outcome:
    """Build a model with the tokenizer of the demo models, and try it."""
    from transformers import AutoTokenizer

    from prunekit.plugins.models.qwen3 import Qwen3

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        try:
            build(name, folder)
        except Exception as error:
            said = textwrap.shorten(re.sub("[<>]", "", str(error)), 120, placeholder=" ...")
            raise NotBuilt(f"{type(error).__name__}: {said}") from error
        AutoTokenizer.from_pretrained(Qwen3.demo).save_pretrained(folder)
        return outcome(folder, removed_from(name), Path(place, "work"))


def read_page() -> tuple[dict[str, Outcome], dict[str, str]]:
    """Read the rows of docs/families.md, and the models that could not be built."""
    text = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = {
        name: Outcome(_blocks(removed), *(cell.replace(r"\|", "|") for cell in cells))
        for name, removed, *cells in ROW.findall(text)
    }
    return rows, dict(UNBUILT.findall(text))


def _blocks(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(","))) if text.strip() else ()


def counts(rows: dict[str, Outcome]) -> tuple[int, int, int]:
    """Count the models, those that can be searched, and those that can be exported."""
    searched = sum(row.search == YES for row in rows.values())
    return len(rows), searched, sum(bool(row.removed) for row in rows.values())


def write(rows: dict[str, Outcome], not_built: dict[str, str]) -> None:
    """Write the table into the page, and the counts into README.md."""
    text = "Of {} models, {} are searched and {} exported.\n\n".format(*counts(rows)) + HEAD
    text += "".join(f"{line(name, row)}\n" for name, row in sorted(rows.items()))
    text += "\nNo tiny model of these types could be built:\n\n"
    text += "".join(f"- `{name}`: {why}\n" for name, why in sorted(not_built.items()))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    counted = "of {} models tried, {} can be searched\nand {} exported".format(*counts(rows))
    readme = README.read_text(encoding="utf-8")
    pattern = r"of \d+ models tried, \d+ can be searched\s+and \d+ exported"
    README.write_text(re.sub(pattern, counted, readme), encoding="utf-8")


def line(name: str, row: Outcome) -> str:
    """Format a row of the table."""
    cells = (", ".join(map(str, row.removed)), row.search, row.checkpoint)
    return f"| `{name}` | " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
