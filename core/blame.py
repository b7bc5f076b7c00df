"""Name the plugin that failed, in one line, instead of showing its traceback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from prunekit.core.errors import PluginError, PrunekitError

WHERE = "; PRUNEKIT_DEBUG=1 shows where"
"""How a message ends whose traceback is not shown."""


@contextlib.contextmanager
def blaming(kind: str, plugin: object, but: type[Exception] = PrunekitError) -> Iterator[None]:
    """Turn whatever a plugin raises into a PluginError that names it; what is one line stays so.

    `sys.exit` too: a plugin may not end somebody's search without a word. Errors of the kind `but`
    are let through.
    """
    try:
        yield
    except (StopIteration, PrunekitError, but):
        raise
    except (Exception, SystemExit) as error:
        where = "" if os.environ.get("PRUNEKIT_DEBUG") else WHERE  # it is being shown
        raise PluginError(f"{described(kind, plugin)} failed: {one_line(error)}{where}") from error


def described(kind: str, plugin: object) -> str:
    """A plugin as errors name it: `searcher 'random' (my_module.RandomSearch)`."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    name = getattr(plugin, "name", "?")
    return f"{kind} {name!r} ({cls.__module__}.{cls.__qualname__})"


def one_line(error: BaseException) -> str:
    """The type of an error and what it says, without line breaks."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
