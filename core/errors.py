"""Errors that the command line prints as one line, without a traceback."""

from __future__ import annotations


class PrunekitError(Exception):
    """Base class: the message alone says what was given, what was expected, and the next step."""

    exit_status = 1


class ConfigError(PrunekitError):
    """A name, an option or a file given by the user is wrong.

    `key` is where it stands in a configuration, as `("genetic", "population")`, where it is known.
    """

    def __init__(self, message: str, key: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.key = key


class CheckpointError(PrunekitError):
    """A model cannot be found, read, or run block by block."""


class UnfitModel(CheckpointError):
    """A model that cannot be run, or pruned, block by block; the message is the reason alone.

    Whoever opens the model adds its family and the version of transformers.
    """


class StorageError(PrunekitError):
    """A file could not be written or read back; the message says what is safe."""


class PluginError(PrunekitError):
    """A plugin broke its contract; the message names the plugin."""


class Interrupted(PrunekitError):
    """Ctrl-C or SIGTERM; the message says the best so far and how to go on."""

    exit_status = 130


class Remark(UserWarning):
    """Something that works, and that users must know; the message is one line."""
