"""The application: commands are plugins, and a user's mistake costs one line."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from prunekit.cli.command import HELP, command_of
from prunekit.cli.screen import err, out
from prunekit.core.errors import ConfigError, PrunekitError, StorageError, debugging
from prunekit.core.registry import Entry, Registry, load_commands
from prunekit.engine.threads import spin_briefly

OF_THE_MACHINE = (
    *(errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ENFILE),
)
"""Errors that a path or the machine causes wherever it is met, so that no bug is behind them."""

GROUPS = ("Find blocks", "Make a model", "Check it", "Compare", "Plugins")
"""Headings of the built-in commands, in the order of use; those of others come after them."""
BEGINNING = (
    "To begin, with a small model that comes with prunekit and without a network: "
    "[bold]prunekit search[/]. It prints what to do next. For yours, add [bold]--model FOLDER[/]."
)
LONGEST = 2000
"""Characters of an error, since one may quote a file; its end says what to do."""


def main() -> None:
    """Run a command."""
    spin_briefly()
    try:
        _replace_what_cannot_be_printed()
        _check_arguments(sys.argv[1:])
        make_app(load_commands())()
    except PrunekitError as error:
        if debugging():
            raise
        _end(error)
    except OSError as error:
        if debugging() or error.errno not in OF_THE_MACHINE:
            raise
        where = f"{str(error.filename)[:100]}: " if error.filename else ""
        _end(StorageError(f"{where}{error.strerror}; choose another place"))
    except KeyboardInterrupt:
        err.print("stopped before anything was begun")
        sys.exit(130)


def _end(error: PrunekitError) -> NoReturn:
    mistake = error.exit_status == 1
    line = f"error: {error}" if mistake else str(error)
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 3 :]}"
    err.print(line, style="red" if mistake else "", soft_wrap=True)
    sys.exit(error.exit_status)


def _replace_what_cannot_be_printed() -> None:
    """Let no character that the encoding of the terminal lacks end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise ConfigError if one is not UTF-8, as the files that prunekit writes have to name it."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{word[:100]!r} is not UTF-8; rename the file or folder") from None


def make_app(registry: Registry) -> TyperGroup:
    """Make the command line of these plugins; a command that cannot be made is a failure there."""
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        epilog=BEGINNING,
    )
    app.callback()(_root)
    group: Any = typer.main.get_command(app)
    group.context_settings["obj"] = registry
    for entry in sorted(registry.of("command"), key=_place):
        with registry.noting_failure(entry.label):
            group.add_command(command_of(entry, registry), registry.label(entry))
    return group  # type: ignore[no-any-return]


def _place(entry: Entry) -> tuple[int, str, int, str]:
    """Return where a command belongs in the help: in the order of use, then by its name."""
    group = entry.cls.group
    place = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    return place, group, entry.cls.rank, entry.name


class _Commands(TyperGroup):
    """Explain where a command that is not known may be."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            if hasattr(error, "message"):
                error.message += ctx.obj.quoted_failures(args[0])
            raise


def _root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            callback=lambda wanted: _print_version() if wanted else None,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Find which blocks of a language model can go, remove them, and prove what came out."""


def _print_version() -> None:
    out.print(f"prunekit {version('prunekit')}")
    raise typer.Exit
