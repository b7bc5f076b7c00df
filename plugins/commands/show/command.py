"""`prunekit show`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import Workdir, out
from prunekit.core import Command, hookimpl
from prunekit.core.problem import words
from prunekit.engine.drafted import Drafted
from prunekit.engine.escaping import shell_word
from prunekit.engine.healed import Healed
from prunekit.engine.provenance import pinned
from prunekit.engine.result import SearchResult
from prunekit.engine.stored import restored
from prunekit.engine.suspicion import suspicion
from prunekit.hf.readback import Proof
from prunekit.plugins.commands.evaluate.printing import evaluation_table, show_verdict
from prunekit.plugins.commands.evaluate.store import rows_of
from prunekit.plugins.commands.search.printing import show_blocks, show_next, show_result, signed
from prunekit.plugins.commands.show.best import ShownBest
from prunekit.plugins.commands.show.show import (
    Shown,
    ShownCheckpoint,
    ShownJournal,
    ShownRun,
    ShownUnfinishedRun,
    ShownWorkdir,
    to_json,
)
from prunekit.plugins.commands.show.show import show as read


class Show(Command):
    """Describe a run, a checkpoint or a journal."""

    name: ClassVar[str] = "show"
    group: ClassVar[str] = "Check it"
    examples: ClassVar[Sequence[str]] = ("prunekit show NAME",)

    def run(
        self,
        path: Annotated[
            str | None, typer.Argument(help="A run, a checkpoint or a journal; default: all runs.")
        ] = None,
        workdir: Workdir = Path("prunekit-runs"),
        best: Annotated[
            int | None, typer.Option(help="Rank this many subsets of a journal; default: 10.")
        ] = None,
        budget: Annotated[
            int | None, typer.Option("--budget", "-k", help="Rank subsets of this many blocks.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    ) -> None:
        shown = read(workdir if path is None else path, workdir=workdir, best=best, budget=budget)
        if json:
            sys.stdout.write(to_json(shown))
        else:
            print_shown(shown)


def print_shown(shown: Shown) -> None:
    """Print a description."""
    if isinstance(shown, ShownRun):
        _run(shown)
    elif isinstance(shown, ShownUnfinishedRun):
        out.print(f"{shown.folder}: an unfinished run: interrupted, or still running\n")
        _next("go on", f"search --config {shell_word(shown.config)}")
    elif isinstance(shown, ShownJournal):
        _journal(shown)
    elif isinstance(shown, ShownBest):
        _best(shown)
    elif isinstance(shown, ShownWorkdir):
        _runs(shown)
    else:
        _checkpoint(shown)


def _runs(shown: ShownWorkdir) -> None:
    columns = [Column(name, overflow="fold") for name in ("run", "model", "removed")]
    table = Table(*columns, "loss difference", box=box.SIMPLE_HEAD, pad_edge=False)
    for result in shown.results:
        name, change = Path(result.run).name, signed(result.difference)
        table.add_row(name, short_name(result.model), words(result.removed), change)
    for name, why in shown.others.items():
        table.add_row(name, "", why, "")
    out.print(table)
    for config in shown.unfinished:
        _next("go on", f"search --config {shell_word(config)}")


def short_name(model: str) -> str:
    """Return the last component of a folder; other names unchanged."""
    return Path(model).name if Path(model).is_absolute() else model


def _run(shown: ShownRun) -> None:
    out.print(f"{shown.folder}: a run")
    show_result(shown.result)
    if remark := suspicion(shown.result.difference, shown.result.unit, shown.result.objective):
        sign = "+/-" if out.options.ascii_only else "±"
        out.print(f"note: {remark.replace('±', sign)}\n", style="yellow")
    _latency(shown.latency)
    _evaluation(shown.evaluation)
    _versions(shown.result.versions)
    if math.isfinite(shown.result.pruned.loss):
        show_next(shown.folder)


def _checkpoint(shown: ShownCheckpoint) -> None:
    record = shown.record
    made = "a checkpoint" if record is None else f"pruned by prunekit {_version(record)}"
    out.print(f"{shown.folder}: {made}", soft_wrap=True)
    stored = ", ".join(f"{name} {count:,}" for name, count in shown.dtypes.items())
    out.print(
        f"{shown.model_type}, {shown.n_blocks} blocks, {shown.parameters:,} parameters ({stored})"
    )
    files = _counted(shown.files, f"{shown.stored_as} file", f"{shown.stored_as} files")
    out.print(f"{shown.weight_bytes / 1e6:,.1f} MB in {files}")
    if record is None:
        out.print()
        _next("search it", f"search --model {shell_word(shown.folder)}")
        return
    _record(shown, record)
    _next("evaluate it", f"evaluate --model {shell_word(shown.folder)}")
    if record.get("heal") or (record["search"] or {}).get("repair"):
        _next("time it", f"latency --model {shell_word(shown.folder)}")
        return
    source, gone = shell_word(record["model"]), shell_word(words(record["removed"]))
    _next("time it", f"latency --model {source} --remove {gone}{pinned(record)}")


def _record(shown: ShownCheckpoint, record: Mapping[str, Any]) -> None:
    out.print(f"made from {record['model']}", soft_wrap=True)
    out.print(f"weights {record['weights']}", soft_wrap=True)
    for step in record.get("before", ()):
        removed = f"removed {words(step['removed'])} of blocks 0 to {step['blocks'] - 1}"
        out.print(f"{removed} of {step['model']} before", soft_wrap=True)
    if proof := record.get("proof"):
        out.print(restored(Proof, proof).words)
    if draft := record.get("draft"):
        out.print(f"as a draft of it with {restored(Drafted, draft).words}", soft_wrap=True)
    if heal := record.get("heal"):
        out.print(restored(Healed, heal).words)
    if remark := record.get("remark"):
        out.print(f"note: {remark}", style="yellow", soft_wrap=True)
    if shown.n_blocks != len(record["kept"]):
        out.print(
            f"it has {shown.n_blocks} blocks, and its record says {len(record['kept'])}: it was "
            "modified after the export",
            style="yellow",
        )
    if record["search"] is None:
        show_blocks(record["removed"], record["blocks"])
        out.print(f"the blocks were chosen {_chosen(record.get('draft'))}")
    else:
        out.print()
        show_result(restored(SearchResult, record["search"]))
    _evaluation(record.get("evaluation"))
    _versions(record["versions"])


def _chosen(draft: Mapping[str, Any] | None) -> str:
    if not draft or not draft.get("searcher"):
        return "manually"
    return f"as a draft, from what {draft['searcher']} on {draft['objective']} found"


def _version(record: Mapping[str, Any]) -> str:
    return str(record["versions"].get("prunekit", "of unknown version"))


def _journal(shown: ShownJournal) -> None:
    about = shown.describes
    out.print(f"{shown.folder}: a journal of measurements", soft_wrap=True)
    models = f" ({', '.join(shown.models)})" if shown.models else ""
    out.print(f"model: weights {about['weights']}{models}", soft_wrap=True)
    same = ("adapter", "dtype", "device", "attention", "torch", "transformers")
    out.print(", ".join(f"{name} {about[name]}" for name in same if name in about))
    given = {k: value for k, value in about.get("options", {}).items() if value is not None}
    options = ", ".join(f"{name} {value}" for name, value in given.items())
    objective = about["objective"].rpartition(".")[2]
    out.print(f"objective: {objective} ({options})" if options else f"objective: {objective}")
    subsets = _counted(shown.subsets, "subset", "subsets")
    samples = _counted(shown.samples, "sample", "samples")
    processes = _counted(shown.segments, "process", "processes")
    out.print(f"{subsets} of up to {samples}, by {processes}")
    sizes = ", ".join(f"{size}: {count:,}" for size, count in shown.by_size.items())
    out.print(f"by the number of blocks removed: {sizes}")


def _best(shown: ShownBest) -> None:
    subsets = _counted(shown.measured, "subset", "subsets")
    what = f"{subsets} of {_counted(shown.budget, 'block', 'blocks')}"
    samples = _counted(shown.samples, "sample", "samples")
    out.print(f"{shown.folder}: {what}, {shown.objective} on {samples}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("removed", overflow="fold")
    for head in (f"loss ({shown.unit})", "behind the best"):
        table.add_column(head, no_wrap=True)
    for place, subset in enumerate(shown.subsets):
        loss = f"{subset.loss:.4f}" if math.isfinite(subset.loss) else "not finite"
        behind = f"{signed(subset.behind)}{'' if subset.apart else ' ='}" if place else "best"
        table.add_row(words(subset.removed), loss, behind)
    out.print(table)
    if any(not subset.apart for subset in shown.subsets[1:]):
        out.print("= cannot be told apart from the best at 5 % (Holm)")


def _latency(row: Mapping[str, Any] | None) -> None:
    if row is not None:
        prefill, decode = (row[f"{name}_ratio"]["median"] for name in ("prefill", "decode"))
        out.print(
            f"timed on {row['device']}, {row['dtype']}: prefill {prefill:.2f} times as fast, "
            f"decode {decode:.2f}\n"
        )


def _evaluation(row: Mapping[str, Any] | None) -> None:
    if row is not None:
        rows = rows_of(row)
        out.print(evaluation_table(rows))
        for measured in rows:
            if verdict := measured.verdict():
                show_verdict(verdict, f"{measured.name} ")


def _versions(versions: Mapping[str, str]) -> None:
    numbers = ", ".join(f"{name} {number}" for name, number in versions.items())
    out.print(f"made with {numbers}\n")


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _next(what: str, command: str) -> None:
    out.print(f"{what:13}prunekit {command}", soft_wrap=True)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Show]
