"""`prunekit export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from prunekit.cli.screen import Verbose, Workdir, err, out
from prunekit.core.errors import ConfigError
from prunekit.workflows.export import FORMATS
from prunekit.workflows.export import export as write
from prunekit.workflows.quiet import quiet_libraries

SETTINGS = ("model", "adapter", "revision", "trust_remote_code", "device", "dtype")


def export(
    given: dict[str, Any],
    to: Annotated[Path, typer.Option(help="What to write; nothing may be there.")],
    run: Annotated[Path | None, typer.Option(help="Folder or name of a run.")] = None,
    remove: Annotated[str | None, typer.Option(help="Blocks to remove, as 9,12.")] = None,
    format: Annotated[
        str,
        typer.Option(
            help="hf writes a checkpoint; mergekit and llama.cpp a file for that tool.",
            metavar="|".join(FORMATS),
        ),
    ] = "hf",
    workdir: Workdir = Path("prunekit-runs"),
    verbose: Verbose = False,
) -> None:
    """Write a model without some of its blocks, and prove that it loads and is right."""
    if verbose:
        os.environ["PRUNEKIT_VERBOSE"] = "1"
    quiet_libraries()
    if run is None and "model" not in given:
        err.print("no --model given: taking demo, a small model that comes with prunekit")
    blocks = None if remove is None else parse_blocks(remove)
    write(**given, to=to, run=run, remove=blocks, format=format, workdir=workdir)
    out.print(f"saved {to}", soft_wrap=True)


def parse_blocks(text: str) -> list[int]:
    """`9,12` as numbers; ConfigError where it is something else."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"--remove {text!r}: expected block numbers, counted from 0, as 9,12"
        ) from None
