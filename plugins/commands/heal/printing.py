"""Print what healing costs, and what it gained."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from rich import box
from rich.table import Table

from prunekit.cli.screen import out
from prunekit.core.problem import words
from prunekit.engine.reading import Difference
from prunekit.engine.sizes import short_bytes
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.evaluate.printing import show_verdict
from prunekit.plugins.commands.export.printing import show_written
from prunekit.plugins.commands.heal.estimate import HealEstimate
from prunekit.plugins.commands.heal.result import HealResult


def show_heal_estimate(costs: HealEstimate) -> None:
    """Print steps, text, memory and time."""
    seconds = timedelta(seconds=round(costs.seconds))
    shared = f", {short_bytes(costs.shared_bytes)} of them shared" if costs.shared_bytes else ""
    lines = {
        "training": f"{costs.trained}, {costs.tokens:,} tokens in {costs.steps:,} steps",
        "text": f"{costs.sequences:,} sequences of {costs.length:,} tokens, "
        f"{costs.held_out:,} more held out, measured {costs.checks} times",
        "time": f"{seconds}, at {costs.tokens_per_second:,.0f} tokens a second",
        "memory": f"{short_bytes(costs.memory_bytes)}: weights "
        f"{short_bytes(costs.weights_bytes)}{shared}; gradients and optimizer "
        f"{short_bytes(costs.training_bytes)}; activations {short_bytes(costs.activation_bytes)}",
    }
    if costs.kept_bytes:
        lines["disk"] = f"{short_bytes(costs.kept_bytes)} for the words of the teacher"
    for name, text in lines.items():
        out.print(f"{name:10}{text}", soft_wrap=True)


def show_healed(result: HealResult, quiet: bool) -> None:
    """Print perplexities before and after, what they say, and where the checkpoint is."""
    healed = result.healed
    title = f"{result.model} without blocks {words(result.removed)}, healed"
    out.print(title, style="bold", soft_wrap=True)
    taught = f"taught by {healed.teacher}" if healed.teacher else "without a teacher"
    out.print(
        f"{healed.trained} trained on {healed.tokens:,} tokens of {healed.data}, {taught}",
        soft_wrap=True,
    )
    out.print(_table(result))
    out.print(f"gained {_signed(healed.gain)} nats per token")
    show_verdict(result.verdict_before, "before: ")
    show_verdict(result.verdict, "healed: ")
    if not quiet:
        out.print()
        show_written(Path(result.saved), out)


def _table(result: HealResult) -> Table:
    healed = result.healed
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"on {healed.held_out:,} held-out tokens", no_wrap=True)
    for name in ("perplexity", "nats", "above dense"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("dense", f"{perplexity(healed.dense):.2f}", f"{healed.dense:.4f}", "")
    for name, loss, above in (
        ("pruned", healed.before, healed.above_before),
        ("healed", healed.after, healed.above),
    ):
        table.add_row(name, f"{perplexity(loss):.2f}", f"{loss:.4f}", _signed(above))
    return table


def _signed(difference: Difference) -> str:
    error = difference.standard_error
    spread = "" if error is None else f" ± {error:.4f}"
    return f"{difference.value:+.4f}{spread}"
