"""What every kind of plugin promises, and how a broken promise is told."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from prunekit.core.contracts import check_class
from prunekit.core.errors import PluginError, described, one_line
from prunekit.core.options import build, options_of, values_of


class ContractError(AssertionError):
    """A plugin broke a promise; the message says which, and what to change."""


class Judge:
    """Tells the faults of one plugin, by its name."""

    def __init__(self, kind: str, plugin: object) -> None:
        self.kind = kind
        self.plugin = plugin
        self.cls: type[Any] = plugin if isinstance(plugin, type) else type(plugin)
        self.who = described(kind, plugin)

    def require(self, kept: object, fault: str) -> None:
        """ContractError with the name of the plugin and the fault, unless the promise is kept."""
        if not kept:
            raise ContractError(f"{self.who} {fault}")

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Whatever is raised inside is a fault that happened while `what`."""
        try:
            yield
        except ContractError:
            raise
        except (Exception, SystemExit) as error:
            raise ContractError(f"{self.who}, {what}: {one_line(error)}") from error

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """The plugin itself must stay as it is: it is used again, copied, and sent elsewhere."""
        before = copy.deepcopy(vars(self.plugin))
        yield
        self.require(
            _same(before, vars(self.plugin)),
            "changes itself while it works, so that a second use goes on from the first; keep what "
            "changes in local variables",
        )

    def check_class(self) -> None:
        """Name, docstring, methods, options: what is read when plugins are listed."""
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
        """A model family is looked at as a class, which loads checkpoints of its own."""
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
        """Plugins are copied for rehearsals and sent to workers."""
        try:
            copy.deepcopy(self.plugin)
        except Exception as error:
            raise ContractError(
                f"{self.who} cannot be copied ({one_line(error)}), as rehearsals and workers do; "
                "open files, locks and the like inside its methods"
            ) from error


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two sets of attributes are equal; those that cannot be compared count as such."""
    try:
        return bool(before == after)
    except (TypeError, ValueError, RuntimeError):  # tensors and arrays
        return before.keys() == after.keys()
