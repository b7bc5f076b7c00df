"""`prunekit list-plugins`: what is installed, and what failed to load."""

from __future__ import annotations

import inspect

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out
from prunekit.core.errors import ConfigError
from prunekit.core.options import flag_name, options_of, suggest
from prunekit.core.registry import KINDS, Entry, Registry


def list_plugins(registry: Registry, name: str | None) -> None:
    """Print every plugin, or the options of those called `name`."""
    if name is None:
        _list_all(registry)
        return
    entries = registry.named(name)
    if not entries:
        near = suggest(name, (e.name for e in registry.entries))
        raise ConfigError(f"no plugin is called {name!r}.{near}")
    for entry in entries:
        _show(entry, registry)


def _list_all(registry: Registry) -> None:
    table = Table("kind", "name", "what it does", "from", box=box.SIMPLE_HEAD, pad_edge=False)
    for kind in KINDS:
        for entry in sorted((e for e in registry.entries if e.kind == kind), key=registry.label):
            table.add_row(
                kind, registry.label(entry), entry.summary, f"{entry.source} {entry.version}"
            )
    out.print(table)
    for label, reason in registry.failures.items():
        err.print(f"not loaded: {label}: {reason}", style="yellow", soft_wrap=True)
    for kind, same in _twins(registry).items():
        err.print(f"same name: {kind}: {same}", style="yellow", soft_wrap=True)


def _twins(registry: Registry) -> dict[str, str]:
    names = {(e.kind, e.name) for e in registry.entries if len(registry.named(e.name, e.kind)) > 1}
    return {
        f"{kind} {name!r}": "write "
        + " or ".join(f"{e.source}:{name}" for e in registry.named(name, kind))
        for kind, name in sorted(names)
    }


def _show(entry: Entry, registry: Registry) -> None:
    label = registry.label(entry)
    out.print(f"{entry.kind} {label}, from {entry.source} {entry.version}", style="bold")
    for paragraph in inspect.cleandoc(entry.cls.__doc__ or "").split("\n\n"):
        out.print(" ".join(paragraph.split()), "", sep="\n")
    options = options_of(entry.cls)
    if not options:
        out.print("no options")
        return
    columns = [Column(name, overflow="fold") for name in ("option", "type", "default", "range")]
    table = Table(*columns, "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    for o in options:
        table.add_row(flag_name(label, o.name), o.kind_name, str(o.default), o.range, o.help)
    out.print(table)
