"""`prunekit new-plugin`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from prunekit.cli.screen import out
from prunekit.core import Command, hookimpl


class NewPlugin(Command):
    """Create a plugin: a small distribution that installs, runs and passes its own tests."""

    name: ClassVar[str] = "new-plugin"
    group: ClassVar[str] = "Plugins"
    examples: ClassVar[Sequence[str]] = ("prunekit new-plugin my-searcher --kind searcher",)
    docs: ClassVar[str] = "docs/plugins/tutorial.md"

    def run(
        self,
        name: Annotated[str, typer.Argument(help="Name that users type, such as random-swaps.")],
        kind: Annotated[
            str, typer.Option(help="searcher, objective, model, repair, backend or command.")
        ],
        to: Annotated[
            Path | None, typer.Option(help="Folder to write; by default prunekit-NAME.")
        ] = None,
    ) -> None:
        from prunekit.engine.escaping import shell_word
        from prunekit.plugins.commands.new_plugin.new_plugin import new_plugin as write

        folder = write(name, kind, to)
        place = shell_word(str(folder))
        out.print(f"wrote {folder}", soft_wrap=True)
        out.print(f'next: cd {place} && pip install -e ".[test]" && pytest', soft_wrap=True)


@hookimpl
def prunekit_commands() -> list[type]:
    return [NewPlugin]
