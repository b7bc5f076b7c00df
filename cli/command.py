"""A command whose help has room for the long flags of plugins."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class RoomyCommand(TyperCommand):
    """Help gives no column to `--no-...`, which says nothing new; where it is needed, words do."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        for parameter in self.params:
            parameter.secondary_opts = []
        super().format_help(ctx, formatter)
