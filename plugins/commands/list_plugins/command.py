"""`prunekit list-plugins`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar

import typer
from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out, styled
from prunekit.core import Command, hookimpl
from prunekit.core.registry import Registry
from prunekit.plugins.commands.list_plugins.listing import Listing, OptionCard, PluginCard
from prunekit.plugins.commands.list_plugins.listing import list_plugins as listed


class ListPlugins(Command):
    """List installed plugins, or show the details of one."""

    name: ClassVar[str] = "list-plugins"
    group: ClassVar[str] = "Plugins"
    examples: ClassVar[Sequence[str]] = ("prunekit list-plugins genetic",)
    docs: ClassVar[str] = "docs/plugins/README.md"

    def run(
        self,
        registry: Registry,
        name: Annotated[str | None, typer.Argument(help="Show details of this plugin.")] = None,
        json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
        verbose: Annotated[
            bool, typer.Option("--verbose", "-v", help="Also list plugins that slow down start-up.")
        ] = False,
    ) -> None:
        found = listed(name, registry)
        if json:
            sys.stdout.write(found.to_json())
            return
        if name is None:
            out.print(_table(found))
        for card in found.plugins if name else ():
            _show(card)
        for label, reason in found.failures.items() if name is None else ():
            err.print(f"not loaded: {label}: {reason}", style="yellow", soft_wrap=True)
        for label, reason in found.twins.items() if name is None else ():
            err.print(f"same name: {label}: {reason}", style="yellow", soft_wrap=True)
        if verbose:
            _show_start(found)


def _table(found: Listing) -> Table:
    table = Table("kind", "name", "what it does", "from", box=box.SIMPLE_HEAD, pad_edge=False)
    for card in found.plugins:
        table.add_row(card.kind, card.name, card.summary, f"{card.distribution} {card.version}")
    return table


def _show_start(found: Listing) -> None:
    """Print how much plugins add to the start-up time."""
    for label, reason in found.slow.items():
        out.print(
            f"slow: {label}: {reason}; its author should import that where it is used",
            soft_wrap=True,
        )
    out.print(f"imported all plugins in {found.seconds:.2f} s", soft_wrap=True)
    if found.left_out:
        out.print(f"disabled by PRUNEKIT_PLUGINS: {'; '.join(found.left_out)}", soft_wrap=True)


def _show(card: PluginCard) -> None:
    title = f"{card.kind} {card.name}, from {card.distribution} {card.version}"
    out.print(title, style="bold", soft_wrap=True)
    for paragraph in card.description.split("\n\n"):
        out.print(" ".join(paragraph.split()), "", sep="\n")
    for what, value in _facts(card):
        out.print(f"{what:8}{value}", soft_wrap=True)
    if card.options:
        out.print(_options(card))
    else:
        out.print("no options\n")


def _facts(card: PluginCard) -> list[tuple[str, str]]:
    needs = [
        f"{', '.join(signals) or 'losses only'}{f' with {option}' if option else ''}"
        for option, signals in card.needs.items()
    ]
    found = [
        ("paper", card.paper or ""),
        ("needs", "; ".join(needs)),
        ("source", card.file or card.module),
    ]
    return [(what, value) for what, value in found if value]


def _options(card: PluginCard) -> Table:
    """Return a table of flags in full, so that they can be copied, and their help."""
    table = Table(Column("option", no_wrap=True), "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    for option in card.options:
        table.add_row(option.flag, styled(f"{option.help}\n") + styled(_values(option)))
    return table


def _values(option: OptionCard) -> str:
    """Return the accepted values: `int, 2.., by default 16`."""
    default = "" if option.default is None else f"by default {option.default}"
    return ", ".join(word for word in (option.type, option.range, default) if word)


@hookimpl
def prunekit_commands() -> list[type]:
    return [ListPlugins]
