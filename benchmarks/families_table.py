"""Make the table of docs/families.md anew: every model type that transformers builds small.

    python benchmarks/families_table.py                    # all of them, a quarter of an hour
    python benchmarks/families_table.py --check            # fails where page and outcome differ
    python benchmarks/families_table.py --check llama qwen3

Each model runs in a process of its own, so that a crash ends no more than its row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
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
SECONDS = 120


class NotBuilt(Exception):
    """transformers builds no tiny model of this type."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="models; by default all")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    given = parser.parse_args()
    import_all()
    rows, not_built, faults = {}, {}, {}
    for name in given.names or names():
        kind, found = in_a_process(name)
        {"row": rows, "not built": not_built, "fault": faults}[kind][name] = found
        print(f"{name}: {kind}: {found}", flush=True)
    print(f"{len(rows)} rows, {len(not_built)} not built, {len(faults)} faults")
    written = page(rows, not_built)
    if given.names or given.check:
        wrong = [line for line in written.splitlines() if line not in PAGE.read_text()]
        print("\n".join(f"not in the page: {line}" for line in wrong))
        return bool(faults or (given.check and wrong))
    write(written, rows)
    return bool(faults)


def import_all() -> None:
    """What every child would have to import."""
    import torch
    import transformers

    from prunekit.workflows.quiet import quiet_libraries

    quiet_libraries()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)


def in_a_process(name: str) -> tuple[str, object]:
    """What becomes of a model, or what went wrong."""
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
    """Build a model, with the tokenizer of the demo models, and try it."""
    from transformers import AutoTokenizer

    from prunekit.plugins.models.decoder import DEMO_MODELS

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        try:
            build(name, folder)
        except Exception as error:
            raise NotBuilt(
                f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            ) from error
        AutoTokenizer.from_pretrained(DEMO_MODELS / "qwen3").save_pretrained(folder)
        return outcome(folder, removed_from(name), Path(place, "work"))


def page(rows: dict[str, Outcome], not_built: dict[str, str]) -> str:
    """The part of docs/families.md that is made here."""
    lines = [line(name, row) for name, row in sorted(rows.items())]
    text = f"{counts(rows)}\n\n{HEAD}" + "\n".join(lines) + "\n"
    if not_built:
        text += "\nNo tiny model of these types could be built: "
        text += ", ".join(f"`{name}`" for name in sorted(not_built)) + ".\n"
    return text


def counts(rows: dict[str, Outcome]) -> str:
    return "Of {} models, {} are searched and {} exported.".format(*_counted(rows))


def _counted(rows: dict[str, Outcome]) -> tuple[int, int, int]:
    searched = sum(row.search == YES for row in rows.values())
    return len(rows), searched, sum(bool(row.removed) for row in rows.values())


def line(name: str, row: Outcome) -> str:
    removed = ", ".join(map(str, row.removed))
    cells = (f"`{name}`", removed, row.search, row.checkpoint)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def write(text: str, rows: dict[str, Outcome]) -> None:
    """Put it into the page, and the counts into README.md."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    told = "of {} models tried, {} can be searched\nand {} exported".format(*_counted(rows))
    readme = README.read_text(encoding="utf-8")
    pattern = r"of \d+ models tried, \d+ can be searched\s+and \d+ exported"
    README.write_text(re.sub(pattern, told, readme), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
