"""The flags that name a pruned model: a run, or a model and the blocks to remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prunekit.cli.screen import err
from prunekit.core.errors import ConfigError
from prunekit.core.problem import blocks_in

Run = Annotated[Path | None, typer.Option(help="Folder or name of a run, or STUDY/CELL.")]
Budget = Annotated[
    int | None, typer.Option("--budget", "-k", help="Fewer blocks than the run, if it has those.")
]
Remove = Annotated[str | None, typer.Option(help="Blocks to remove, as 9,12.")]


def parse_blocks(text: str | None) -> list[int] | None:
    """Parse `9,12`; `none` is an empty list, and None stays None. Raises ConfigError otherwise."""
    try:
        return None if text is None else blocks_in(text)
    except ValueError:
        raise ConfigError(
            f"--remove {text!r}: expected block numbers, counted from 0, as 9,12"
        ) from None


def say_if_demo(named: bool, quiet: bool = False) -> None:
    """Tell that a demo model is taken where nothing names one."""
    if not named and not quiet:
        err.print("no --model given: taking demo, a small model that comes with prunekit")
