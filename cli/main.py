"""The commands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from prunekit.cli.command import PluginFlagsCommand
from prunekit.cli.flags import with_flags
from prunekit.cli.screen import err, out
from prunekit.core.errors import PrunekitError
from prunekit.core.options import options_of
from prunekit.core.registry import Registry, load
from prunekit.engine.config import Settings
from prunekit.plugins.commands.evaluate.command import SETTINGS as EVALUATE_SETTINGS
from prunekit.plugins.commands.evaluate.command import evaluate
from prunekit.plugins.commands.export.command import SETTINGS, export
from prunekit.plugins.commands.latency.command import latency
from prunekit.plugins.commands.latency.turns import Workload
from prunekit.plugins.commands.list_plugins.command import list_plugins
from prunekit.plugins.commands.new_plugin.command import new_plugin
from prunekit.plugins.commands.report.command import report
from prunekit.plugins.commands.search.command import search
from prunekit.plugins.commands.show.command import show
from prunekit.plugins.commands.study.command import SETTINGS as STUDY_SETTINGS
from prunekit.plugins.commands.study.command import study


def main() -> None:
    """Run a command. A mistake of the user costs one line, and no traceback."""
    # Threads of torch that wait for others spin so often before they sleep. By default it is 30
    # times more, and on a busy machine they take the core from those they wait for: a search took
    # 116 s instead of 62. Without spinning at all, one on an idle machine takes 17 s instead of 11.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        make_app(load())()
    except PrunekitError as error:
        if os.environ.get("PRUNEKIT_DEBUG"):
            raise
        mistake = error.exit_status == 1
        line = f"error: {error}" if mistake else str(error)
        err.print(line, style="red" if mistake else "", soft_wrap=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        err.print("stopped before anything was begun")
        sys.exit(130)


def make_app(registry: Registry) -> typer.Typer:
    """The command line for these plugins."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

    @app.callback()
    def root(
        show_version: Annotated[
            bool,
            typer.Option(
                "--version", help="Print the version.", callback=_print_version, is_eager=True
            ),
        ] = False,
    ) -> None:
        """Find which blocks of a language model can go, remove them, and prove what came out."""

    @app.command("list-plugins")
    def listing(
        name: Annotated[str | None, typer.Argument(help="Show all about this plugin.")] = None,
        json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
        verbose: Annotated[
            bool, typer.Option("--verbose", "-v", help="Also name plugins that slow the start.")
        ] = False,
    ) -> None:
        """Show every searcher, objective, model family and backend that is installed."""
        list_plugins(registry, name, json, verbose)

    settings = options_of(Settings)
    app.command("search", cls=PluginFlagsCommand)(
        with_flags(search, settings, registry, with_plugins=True)
    )
    of_model = [o for o in settings if o.name in SETTINGS]
    app.command("export", cls=PluginFlagsCommand)(
        with_flags(export, of_model, registry, panel="Model")
    )
    evaluated = [o for o in settings if o.name in EVALUATE_SETTINGS]
    app.command("evaluate", cls=PluginFlagsCommand)(
        with_flags(evaluate, evaluated, registry, panel="Model")
    )
    timed = [*of_model, *options_of(Workload)]
    app.command("latency", cls=PluginFlagsCommand)(
        with_flags(latency, timed, registry, panel="Model and workload")
    )
    app.command("new-plugin")(new_plugin)
    app.command("report")(report)
    app.command("show")(show)
    overruling = [o for o in settings if o.name in STUDY_SETTINGS]
    app.command("study", cls=PluginFlagsCommand)(with_flags(study, overruling, registry))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"prunekit {version('prunekit')}")
        raise typer.Exit
