"""Write core/prunekit/__init__.pyi: what type checkers and editors see of the package.

    python tests/stub.py > core/prunekit/__init__.pyi && ruff format core/prunekit/__init__.pyi

A function's arguments are those of its signature, which holds also what `**given` may be.
"""

import inspect
import re
import sys
from types import NoneType, UnionType
from typing import TypeAlias, Union, get_args, get_origin

import prunekit

Results: TypeAlias = dict[str, tuple[object, str]]
HEAD = '''"""What type checkers and editors see of the package; tests/stub.py writes it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

'''


def stub() -> str:
    """Return the text of the file."""
    names = sorted(prunekit.__all__)
    functions = [name for name in names if inspect.isfunction(getattr(prunekit, name))]
    classes = {name: (getattr(prunekit, name), "") for name in names if name not in functions}
    results: Results = {}
    bodies = [_function(name, results) for name in functions]
    homes = {name: _home(*of) for name, of in (classes | results).items()}
    found = [
        f"from {module} import {name} as {name}"
        for name, module in sorted(homes.items(), key=lambda x: x[::-1])
    ]
    return f"{HEAD}{chr(10).join(found)}\n\n__version__: str\n\n{chr(10).join(bodies)}"


def _home(found: object, else_in: str) -> str:
    """Return the module of a class; a union of classes is where its function is."""
    return found.__module__ if isinstance(found, type) else else_in


def _function(name: str, results: Results) -> str:
    function = getattr(prunekit, name)
    signature = inspect.signature(function)
    inner = vars(sys.modules[function.__module__])
    returned = signature.return_annotation
    for word in re.findall(r"[A-Z]\w+", returned):
        if word not in ("Any", "Path"):
            results[word] = inner[word], function.__module__
    lines, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            lines, starred = [*lines, "    *,"], True
        lines.append(f"    {_parameter(parameter, inner, results)},")
    body = "\n".join(lines)
    return f"def {name}(\n{body}\n) -> {returned}: ...\n"


def _parameter(p: inspect.Parameter, inner: dict[str, object], results: Results) -> str:
    kind = p.annotation if isinstance(p.annotation, str) else _words(p.annotation)
    kind = kind.replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")
    for word in re.findall(r"\b(?:Registry|Step|Progress)\b", kind):
        results[word] = inner[word], ""
    kind = kind.replace("'", '"').replace("Reporting", "bool | Callable[[Step], None]")
    if p.kind is p.VAR_KEYWORD:
        return f"**{p.name}: {kind}"
    return f"{p.name}: {kind}" + ("" if p.default is p.empty else " = ...")


def _words(annotation: object) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(map(_words, get_args(annotation)))
    return "None" if annotation is NoneType else inspect.formatannotation(annotation)


if __name__ == "__main__":
    sys.stdout.write(stub())
