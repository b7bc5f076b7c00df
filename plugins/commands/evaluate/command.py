"""`prunekit evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import Prove, Quiet, Verbose, Workdir, listen, out, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.engine.variant import MEASURED_SETTINGS
from prunekit.plugins.commands.evaluate.config import NEW_TOKENS, EvalOptions

if TYPE_CHECKING:
    from prunekit.plugins.commands.evaluate.comparison import EvaluationResult
    from prunekit.plugins.commands.evaluate.gate import GateMissed

Ppl = Annotated[str, typer.Option(help="Perplexities: wikitext2, c4, lambada, demo, or files.")]
Tasks = Annotated[
    str, typer.Option(help="Tasks of lm-eval; commonsense is the paper's six; or demo.")
]
Also = Annotated[
    str, typer.Option(help="Other checkpoints made from the same model, as pruned,repaired.")
]
MaxPplRatio = Annotated[
    float | None, typer.Option(help="Exit with 3 above this pruned/dense perplexity.")
]
MinAccuracy = Annotated[
    list[str] | None,
    typer.Option(help="Exit with 3 below this mean accuracy, 0.6, or a task's: piqa=0.7."),
]

PromptsFile = Annotated[
    str | None,
    typer.Option("--prompts", help="File of prompts for both to continue, or demo for three."),
]
NewTokens = Annotated[int, typer.Option(help="Tokens of a continuation.")]
PlainPrompts = Annotated[
    bool, typer.Option("--plain-prompts", help="Prompts as they are, without a chat template.")
]


class Evaluate(Command):
    """Evaluate a pruned model beside the dense one: perplexities, tasks, and a quality gate."""

    name: ClassVar[str] = "evaluate"
    group: ClassVar[str] = "Check it"
    examples: ClassVar[Sequence[str]] = (
        "prunekit evaluate --run NAME --ppl wikitext2 --tasks commonsense",
        "prunekit evaluate --model pruned --prompts demo",
    )
    docs: ClassVar[str] = "docs/evaluation.md"
    settings: ClassVar[Sequence[str]] = MEASURED_SETTINGS
    options: ClassVar[type] = EvalOptions
    panel: ClassVar[str] = "Model and evaluation"

    def run(
        self,
        given: dict[str, Any],
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        baseline: Annotated[
            str | None, typer.Option(help="Model to compare with, as a healed one's original.")
        ] = None,
        also: Also = "",
        ppl: Ppl = "",
        tasks: Tasks = "",
        max_ppl_ratio: MaxPplRatio = None,
        min_accuracy: MinAccuracy = None,
        prompts: PromptsFile = None,
        new_tokens: NewTokens = NEW_TOKENS,
        plain_prompts: PlainPrompts = False,
        workdir: Workdir = Path("prunekit-runs"),
        prove: Prove = False,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        listen(verbose)
        say_if_demo(run is not None or "model" in given, quiet)
        with progress_bar(quiet) as progress:
            result, missed = _measured(
                **given,
                run=run,
                budget=budget,
                remove=parse_blocks(remove),
                baseline=baseline,
                also=also,
                ppl=ppl,
                tasks=tasks,
                max_ppl_ratio=max_ppl_ratio,
                min_accuracy=parse_bounds(min_accuracy or []),
                prompts=prompts,
                new_tokens=new_tokens,
                plain_prompts=plain_prompts,
                workdir=workdir,
                prove=prove,
                progress=progress,
            )
        _print(result, json, quiet)
        if missed:
            raise missed


def _measured(**given: Any) -> tuple[EvaluationResult, GateMissed | None]:
    """Return the result, also of a model that misses its bounds, and that error."""
    from prunekit.plugins.commands.evaluate.evaluate import evaluate
    from prunekit.plugins.commands.evaluate.gate import GateMissed

    try:
        return evaluate(**given), None
    except GateMissed as error:
        return error.result, error


def _print(result: EvaluationResult, as_json: bool, quiet: bool) -> None:
    from prunekit.plugins.commands.evaluate.printing import show_evaluation
    from prunekit.plugins.commands.evaluate.together import together_table

    if as_json:
        sys.stdout.write(result.to_json())
    else:
        show_evaluation(result, quiet)
        if result.also:
            out.print(together_table(result))


def parse_bounds(texts: list[str]) -> dict[str, str]:
    """Parse `0.6` and `piqa=0.7` into bounds by task; a number alone bounds the mean."""
    from prunekit.plugins.commands.evaluate.comparison import MEAN

    pairs = (text.rpartition("=") for text in texts)
    return {name or MEAN: bound for name, _, bound in pairs}


@hookimpl
def prunekit_commands() -> list[type]:
    return [Evaluate]
