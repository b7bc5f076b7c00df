"""Turn options into command-line flags: those of a search, `--budget`, and of every plugin.

Every value is handed on as text, so that flags, files and Python are checked by the same code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import typer
from rich.markup import escape

from prunekit.cli.printable import printable
from prunekit.cli.stopping import stoppable
from prunekit.core.command import Command
from prunekit.core.options import Option, options_of
from prunekit.core.registry import Registry
from prunekit.engine.config import Settings

SHORT = {"budget": "-k"}
KINDS = ("searcher", "objective", "repair", "backend")
"""Settings that choose a plugin, and the kinds of these."""


Flags: TypeAlias = list[tuple[tuple[str, ...], Any]]
"""Paths in a configuration, and how Typer is to read them."""


def flag_name(*path: str) -> str:
    """Return the flag of an option.

    >>> flag_name("genetic", "population"), flag_name("protect_first")
    ('--genetic.population', '--protect-first')
    """
    return "--" + ".".join(path).replace("_", "-")


def no_flag_name(*path: str) -> str:
    """Return the flag that switches an option off.

    >>> no_flag_name("ppl", "add_bos")
    '--no-ppl.add-bos'
    """
    return f"--no-{flag_name(*path).removeprefix('--')}"


def flags_of(command: type[Command], registry: Registry) -> Flags:
    """Return the flags of a command for settings, its own options and those of plugins."""
    settings = [o for o in options_of(Settings) if o.name in command.settings]
    own = options_of(command.options) if command.options else []
    flags = [_flag((), option, command.panel) for option in (*settings, *own)]
    for entry in registry.entries if command.plugin_options else ():
        if entry.kind in command.plugin_kinds:
            label = registry.label(entry)
            title = f"{entry.kind} {label}"
            flags += [_flag((label,), option, title) for option in options_of(entry.cls)]
    return flags


def with_flags(cls: type[Command], flags: Flags, registry: Registry) -> Callable[..., None]:
    """Return the command as a function with these flags beside the parameters of its `run`.

    Its `run` receives what was given of the flags as the mapping `given`, in the words of a
    configuration file, and the `registry` if it has such a parameter.
    """
    command = cls()
    own = inspect.signature(command.run, eval_str=True).parameters
    extra = {"registry": registry} if "registry" in own else {}
    paths = {f"flag_{number}": path for number, (path, _) in enumerate(flags)}

    def run(**arguments: Any) -> None:
        values = {path: arguments.pop(name) for name, path in paths.items()}
        given = _nest({path: value for path, value in values.items() if value is not None})
        with stoppable():
            command.run(**arguments, **extra, **({"given": given} if "given" in own else {}))

    typed = [parameter for name, parameter in own.items() if name not in ("given", "registry")]
    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in typed]
    for name, (_, annotation) in zip(paths, flags, strict=True):
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
        )
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _flag(above: tuple[str, ...], option: Option, panel: str) -> tuple[tuple[str, ...], Any]:
    path = (*above, option.name)
    names = [flag_name(*path)]
    if option.kind is bool:
        names = [f"{names[0]}/{no_flag_name(*path)}"]
    elif not above and option.name in SHORT:
        names.append(SHORT[option.name])
    words = [str(option.default), option.range]
    if option.kind is not bool:
        words.insert(0, option.kind_name)
    elif option.default is True:
        words.append(f"else {no_flag_name(*path)}")
    details = "; ".join(word for word in words if word not in ("", "None"))
    help = escape(printable(option.help))
    shown = typer.Option(
        *names,
        help=f"{help} ({escape(printable(details))})" if details else help,
        metavar="",  # the help names the type: a column of its own would cut long flags
        rich_help_panel=panel,
    )
    return path, Annotated[(bool if option.kind is bool else str) | None, shown]


def _nest(values: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in values.items():
        place = nested
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return nested
