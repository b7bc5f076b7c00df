"""The arguments behind `**given`, for `help`, completion and type checkers."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, get_type_hints

F = TypeVar("F", bound=Callable[..., Any])
WIDER: Mapping[str, Any] = {"budget": int | str | None}
"""Settings that Python may also give as numbers."""


def takes(
    *classes: type,
    settings: Collection[str] | None = None,
    but: Collection[str] = (),
    plugins: bool = False,
    **defaults: Any,
) -> Callable[[F], F]:
    """Give a function with `**given` the signature of all that may be given.

    These are the fields of dataclasses, all `but` some; of the last one, only those named in
    `settings`, if any are. `defaults` replace theirs. With `plugins`, the options of a plugin are a
    mapping under its name.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        *named, _given = signature.parameters.values()
        found = {p.name: p for p in named}
        for cls in classes:
            for parameter in _fields(cls):
                name = parameter.name
                wanted = cls is not classes[-1] or settings is None or name in settings
                if wanted and name not in but:
                    default = defaults.get(name, parameter.default)
                    found.setdefault(name, parameter.replace(default=default))
        if plugins:
            kind = inspect.Parameter.VAR_KEYWORD
            found["plugins"] = inspect.Parameter("plugins", kind, annotation=Mapping[str, Any])
        shown = signature.replace(parameters=list(found.values()))
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return decorate


def _fields(cls: type) -> list[inspect.Parameter]:
    hints = get_type_hints(cls)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=WIDER.get(field.name, hints[field.name]),
        )
        for field in dataclasses.fields(cls)
    ]
