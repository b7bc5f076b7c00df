"""`prunekit certify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import Quiet, Verbose, Workdir, listen, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.engine.variant import MEASURED_SETTINGS
from prunekit.plugins.commands.certify.writing import Writing
from prunekit.plugins.commands.evaluate.command import (
    Ppl,
    Tasks,
)
from prunekit.plugins.commands.evaluate.config import EvalOptions


@dataclass(frozen=True)
class _Options(Writing, EvalOptions):
    """Both, with one batch size."""


class Certify(Command):
    """Say what a pruned model still can do beside the dense one, writing included.

    Both continue the same prompts, greedily and sampled, and do short exercises; each capability
    is kept, hurt or lost, or cannot be told. All texts stand side by side on a page.
    """

    name: ClassVar[str] = "certify"
    group: ClassVar[str] = "Check it"
    examples: ClassVar[Sequence[str]] = (
        "prunekit certify --model pruned --ppl my-text.txt --card",
        "prunekit certify --run NAME --thresholds bounds.yaml",
    )
    docs: ClassVar[str] = "docs/certify.md"
    settings: ClassVar[Sequence[str]] = MEASURED_SETTINGS
    options: ClassVar[type] = _Options
    panel: ClassVar[str] = "Models, texts and tasks"

    def run(
        self,
        given: dict[str, Any],
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        baseline: Annotated[
            str | None, typer.Option(help="Model to compare with, as a healed one's original.")
        ] = None,
        ppl: Ppl = "",
        tasks: Tasks = "",
        thresholds: Annotated[
            Path | None, typer.Option(help="YAML file of bounds, and of the verdicts that pass.")
        ] = None,
        card: Annotated[
            bool, typer.Option("--card", help="Add it to the checkpoint's card and prunekit.json.")
        ] = False,
        workdir: Workdir = Path("prunekit-runs"),
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.certify.certificate import NotCertified
        from prunekit.plugins.commands.certify.certify import certify
        from prunekit.plugins.commands.certify.printing import show_certificate

        listen(verbose, quiet)
        say_if_demo(run is not None or "model" in given, quiet)
        which: dict[str, Any] = {"run": run, "budget": budget, "remove": parse_blocks(remove)}
        failed: NotCertified | None = None
        with progress_bar(quiet) as progress:
            try:
                certificate = certify(
                    **given,
                    **which,
                    ppl=ppl,
                    tasks=tasks,
                    baseline=baseline,
                    thresholds=thresholds,
                    card=card,
                    workdir=workdir,
                    progress=progress,
                )
            except NotCertified as error:
                certificate, failed = error.certificate, error
        if json:
            sys.stdout.write(certificate.to_json())
        else:
            show_certificate(certificate, quiet)
        if failed:
            raise failed


@hookimpl
def prunekit_commands() -> list[type]:
    return [Certify]
