"""Errors that the command line prints as one line, and how to name the plugin that failed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

WHERE = "; PRUNEKIT_DEBUG=1 shows where"
"""How a message ends when the traceback is not shown."""


class PrunekitError(Exception):
    """Base class: the message says what was given, what was expected, and the next step."""

    exit_status = 1


class ConfigError(PrunekitError):
    """A name, option or file given by the user is wrong.

    `key` locates it in the configuration if known, as in `("genetic", "population")`.
    """

    def __init__(self, message: str, key: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.key = key


class OutOfMemory(ConfigError):
    """The device has too little memory for a batch, whatever else it holds."""


class CheckpointError(PrunekitError):
    """A model cannot be found, read, or run block by block."""


class UnfitModel(CheckpointError):
    """A model cannot be run or pruned block by block; the message is the bare reason.

    The caller that opens the model adds its family and the version of transformers.
    """


class StorageError(PrunekitError):
    """A file could not be written or read back; the message says which data is safe."""


class PluginError(PrunekitError):
    """A plugin broke its contract; the message names the plugin."""


class Interrupted(PrunekitError):
    """Ctrl-C or SIGTERM; the message gives the best result so far and how to resume."""

    exit_status = 130


class Remark(UserWarning):
    """A note that users should see although the work goes on; the message is one line."""


def debugging() -> bool:
    """Return whether PRUNEKIT_DEBUG asks for tracebacks."""
    return bool(os.environ.get("PRUNEKIT_DEBUG"))


@contextlib.contextmanager
def blaming(kind: str, plugin: object, but: type[Exception] = PrunekitError) -> Iterator[None]:
    """Turn any exception of a plugin into a PluginError that names it.

    Errors that are one line already, and those of type `but`, pass through. SystemExit does not: a
    plugin must not end a search without a word. No generator may yield inside, as it would be
    blamed for being closed.
    """
    try:
        yield
    except (StopIteration, KeyboardInterrupt, PrunekitError, but):
        raise
    except BaseException as error:
        where = "" if debugging() else WHERE
        raise PluginError(f"{described(kind, plugin)} failed: {one_line(error)}{where}") from error


def described(kind: str, plugin: object) -> str:
    """Name a plugin for an error message: `searcher 'random' (my_module.RandomSearch)`."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    name = getattr(plugin, "name", "?")
    return f"{kind} {name!r} ({cls.__module__}.{cls.__qualname__})"


def one_line(error: BaseException) -> str:
    """Return an error's type and message, without line breaks."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # a plugin's own exception may fail to describe itself
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
