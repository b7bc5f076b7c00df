"""Print drafts side by side, and what trying the best has shown."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table

from prunekit.cli.screen import out
from prunekit.engine.drafted import lines
from prunekit.plugins.commands.curve.words import change
from prunekit.plugins.commands.draft.estimate import DraftEstimate
from prunekit.plugins.commands.draft.plan import DraftPlan
from prunekit.plugins.commands.draft.result import Candidate, DraftResult, verdict_on
from prunekit.plugins.commands.export.printing import show_written
from prunekit.plugins.commands.search.printing import duration, show_estimate

COLUMNS = ("on text", "a", "c", "g", "formula", "tokens", "speed-up")
LEGEND = (
    "a: share of the dense model's own tokens at which the draft is right, c: cost of its step "
    "over a dense one, g: best lookahead; tokens per dense forward, by the formula with a, and "
    "counted on the texts; speed-up as if g + 1 tokens were read as fast as one"
)


def show_drafts(result: DraftResult, quiet: bool) -> None:
    """Print the table, the best draft, what trying it has shown, and how to use it."""
    chosen = f"{result.searcher} on {result.objective}" if result.searcher else "blocks by hand"
    out.print(f"{result.model}: drafts, {chosen}", style="bold", soft_wrap=True)
    threads = f", threads: {result.threads}" if result.device.startswith("cpu") else ""
    about = f"{result.drafted.prompts} prompts of {result.prompts}, {result.new_tokens} tokens each"
    out.print(f"{about}; {result.dtype} on {result.device}{threads}", soft_wrap=True)
    out.print(_table(result))
    if not quiet:
        out.print(f"{LEGEND}\n")
    out.print(f"* {verdict_on(result)}", soft_wrap=True)
    drafted = result.drafted
    out.print(
        f"tried with {drafted.lookahead} ahead: {drafted.measured:.3f} tokens per dense forward "
        f"({drafted.predicted:.3f} counted, {drafted.formula:.3f} by the formula); by the clock "
        f"{drafted.measured_speedup:.2f} times the speed",
        soft_wrap=True,
    )
    out.print(drafted.proof, soft_wrap=True)
    if result.saved:
        _show_saved(result, quiet)


def _show_saved(result: DraftResult, quiet: bool) -> None:
    if quiet:
        out.print(f"saved {result.saved}", soft_wrap=True)
        return
    out.print()
    show_written(Path(result.saved), out)
    out.print()
    for name, line in lines(result.model, result.saved, result.drafted.lookahead).items():
        out.print(f"{name:13}{line}", soft_wrap=True)


def _table(result: DraftResult) -> Table:
    """Return a row for each budget; of nested choices only what is new is shown."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("blocks", overflow="fold")
    for name in COLUMNS:
        if name != "on text" or result.searcher:
            table.add_column(name, justify="right", no_wrap=True)
    befores = [(), *(candidate.removed for candidate in result.candidates)]
    for before, candidate in zip(befores, result.candidates, strict=False):
        mark = "*" if candidate.budget == result.best else ""
        blocks = change(candidate.removed, before)
        table.add_row(f"{mark}{candidate.budget}", blocks, *_cells(candidate))
    return table


def _cells(candidate: Candidate) -> list[str]:
    best = candidate.best
    on_text = [] if candidate.on_text is None else [f"{candidate.on_text:.3f}"]
    return [
        *on_text,
        f"{candidate.agreement:.3f}",
        f"{candidate.cost.median:.3f}",
        str(best.lookahead),
        f"{best.formula:.2f}",
        f"{best.predicted:.2f}",
        f"{best.speedup:.3f}",
    ]


def show_draft_estimate(plan: DraftPlan, costs: DraftEstimate) -> None:
    """Print the cost of the searches, and of what follows them."""
    if costs.search:
        show_estimate(plan.searches[max(plan.searches)], costs.search, len(plan.searches))
    out.print(
        f"decodes at most {costs.decoded:,} tokens: {costs.new_tokens} after each of "
        f"{costs.prompts} prompts, alone and with the best draft, and the steps of "
        f"{costs.drafts} drafts",
        soft_wrap=True,
    )
    if costs.seconds is None:
        out.print("no estimate of its time: the weights would have to be fetched")
    else:
        out.print(f"takes about {duration(costs.seconds)} more here")
