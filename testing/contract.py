"""The promises of every kind of plugin, and how a broken one is reported."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator
from typing import IO, Any, cast

from prunekit.core.contracts import check_class
from prunekit.core.errors import PluginError, described, one_line
from prunekit.core.options import build, options_of, values_of


class ContractError(AssertionError):
    """A plugin broke a promise; the message says which, and what to change."""


class Checker:
    """Report the broken promises of one plugin, by its name."""

    def __init__(self, kind: str, plugin: object) -> None:
        self.kind = kind
        self.plugin = plugin
        self.cls: type[Any] = plugin if isinstance(plugin, type) else type(plugin)
        self.who = described(kind, plugin)

    def require(self, kept: object, fault: str) -> None:
        """Raise ContractError with the plugin's name and the fault, unless the promise is kept."""
        if not kept:
            raise ContractError(f"{self.who} {fault}")

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Report any exception raised inside as a fault that happened while `what`."""
        try:
            yield
        except ContractError:
            raise
        except (Exception, SystemExit) as error:
            raise ContractError(f"{self.who}, {what}: {one_line(error)}") from error

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Require that the plugin stays as it is: it is reused, copied, and sent to workers."""
        before = copy.deepcopy(vars(self.plugin))
        yield
        self.require(
            _same(before, vars(self.plugin)),
            "changes itself while it works, so that a second use goes on from the first; keep what "
            "changes in local variables",
        )

    def check_class(self) -> None:
        """Check name, docstring, methods and options, which are read when plugins are listed."""
        self._check_given()
        cls = self.cls
        try:
            check_class(cls, self.kind)
        except PluginError as error:
            raise ContractError(f"{self.who}: {error}") from error
        own = vars(cls).get("__doc__") or ""
        self.require(
            own.strip() and not own.startswith(f"{cls.__name__}("),
            "needs a docstring: its first line is what `prunekit list-plugins` shows",
        )
        self._check_options(cls)

    def _check_given(self) -> None:
        """Require a class for a model family, which loads checkpoints, else an instance."""
        name, check = self.cls.__name__, f"check_{'adapter' if self.kind == 'model' else self.kind}"
        wanted = ("the class", name, "an instance")
        if self.kind != "model":
            wanted = ("an instance", f"{name}()", "the class")
        self.require(
            isinstance(self.plugin, type) == (self.kind == "model"),
            "cannot be checked so: give {} {}, `{}`, not {}".format(check, *wanted),
        )

    def _check_options(self, cls: type[Any]) -> None:
        for option in options_of(cls):
            self.require(option.help, f"needs a help text for `{option.name}`: use option(...)")
        with self.doing("being made again from its own options"):
            if not isinstance(self.plugin, type):
                build(cls, values_of(self.plugin), self.kind)

    def check_copies(self) -> None:
        """Require that the plugin can be copied, for dry runs and workers."""
        try:
            copy.deepcopy(self.plugin)
        except Exception as error:
            raise ContractError(
                f"{self.who} cannot be copied ({one_line(error)}), as dry runs and workers need; "
                "open files, locks and the like inside its methods"
            ) from error


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Compare two sets of attributes; those that cannot be compared count as equal."""
    try:
        return bool(before == after)
    except (TypeError, ValueError, RuntimeError):  # tensors and arrays
        return before.keys() == after.keys()


@contextlib.contextmanager
def silent(checker: Checker) -> Iterator[None]:
    """Report anything written to standard output as a fault; it is shown all the same."""
    copying = _Copying(sys.stdout)
    with contextlib.redirect_stdout(cast("IO[str]", copying)):
        yield
    require_silence(checker, copying.said)


def require_silence(checker: Checker, said: str) -> None:
    """Raise ContractError if anything was written to standard output."""
    first = said.strip().split("\n")[0]
    checker.require(
        not first,
        f"writes to standard output, where prunekit prints results: {first!r}; use logging, or "
        "write to standard error",
    )


class _Copying:
    """A stream that keeps a copy of everything written to it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.said = ""

    def write(self, text: str) -> int:
        self.said += text
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
