"""Begin a plugin: a small distribution that installs, runs and passes its own tests."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from prunekit.core.contracts import KINDS, RESERVED
from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.core.registry import load
from prunekit.engine.escaping import shell_word
from prunekit.engine.files import rename_into_place, writing
from prunekit.plugins.commands.export.export import check_target

PREFIX = "prunekit-"
SAID = {
    "searcher": "a searcher",
    "objective": "an objective",
    "model": "a model family",
    "backend": "a backend",
}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
COMMANDS = {
    "searcher": "prunekit search --searcher {name}",
    "objective": "prunekit search --objective {name}",
    "model": "prunekit search --adapter {name} --model FOLDER",
    "backend": "prunekit search --backend {name}",
}


def new_plugin(name: str, kind: str, to: str | Path | None = None) -> Path:
    """Write a distribution `prunekit-NAME` with one plugin called `name`, and return its folder.

    `kind` is searcher, objective, model or backend. Without `to` the folder is called like the
    distribution and stands where one is. ConfigError where the name or the kind will not do, or
    something stands at `to` already: nothing is overwritten.
    """
    if kind not in KINDS:
        raise ConfigError(f"--kind {kind!r}: no such kind of plugin.{suggest(kind, KINDS)}")
    name = _checked(name.removeprefix(PREFIX))
    folder = Path(to or f"{PREFIX}{name}")
    _check_place(folder, name)
    texts = _texts(name, kind)
    with rename_into_place(folder) as partial, writing(folder):
        for path, text in texts.items():
            (partial / path).parent.mkdir(exist_ok=True)
            (partial / path).write_text(text, encoding="utf-8")
    return folder


def _check_place(folder: Path, name: str) -> None:
    if folder.is_dir():
        new = shell_word(str(folder / f"{PREFIX}{name}"))
        raise ConfigError(
            f"{folder} exists already, and only a new folder is written; name one, as --to {new}"
        )
    check_target(folder)


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a plugin: expected lower-case words joined by "
            "hyphens, beginning with a letter, as `random-swaps`"
        )
    if reason := _meaning(name):
        raise ConfigError(f"{name!r} is {reason}; choose another name, as `my-{name}`")
    for entry in load().named(name):
        raise ConfigError(
            f"{SAID[entry.kind]} called {name!r} is installed already, from {entry.source} "
            f"{entry.version}; choose another name"
        )
    return name


def _meaning(name: str) -> str | None:
    """What a word means already where names of plugins are written."""
    if name in RESERVED:
        return "a setting of a search"
    if keyword.iskeyword(name):
        return f"a word of Python, where options are given as prunekit.search({name}={{...}})"
    return "prunekit itself" if name == PREFIX.rstrip("-") else None


def _class_name(name: str, kind: str) -> str:
    """In words of the name, and of the kind where the name does not end in it.

    >>> _class_name("random-swaps", "searcher"), _class_name("my-searcher", "searcher")
    ('RandomSwapsSearcher', 'MySearcher')
    """
    words = name.removesuffix(f"-{kind}").split("-")
    return "".join(map(str.capitalize, [*words, kind]))


def _texts(name: str, kind: str) -> dict[str, str]:
    """The files of the distribution."""
    words = {
        "name": name,
        "kind": kind,
        "a_kind": SAID[kind],
        "distribution": f"{PREFIX}{name}",
        "module": f"prunekit_{name}".replace("-", "_"),
        "class_name": _class_name(name, kind),
        "requires": _requirement(),
        "command": COMMANDS[kind].format(name=name),
    }
    templates = files("prunekit.plugins.commands.new_plugin") / "templates"
    places = {
        "pyproject.toml": templates / "pyproject.toml.template",
        "README.md": templates / "README.md.template",
        f"{words['module']}.py": templates / kind / "module.py.template",
        f"tests/test_{words['module']}.py": templates / kind / "test.py.template",
    }
    return {path: _filled(template, words) for path, template in places.items()}


def _filled(template: Traversable, words: dict[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(words)


def _requirement() -> str:
    """Releases that keep what the present one promises: 0.2 may change what 0.1 had."""
    major, minor, *_ = version("prunekit").split(".")
    upper = f"{major}.{int(minor) + 1}" if major == "0" else str(int(major) + 1)
    return f"prunekit>={major}.{minor},<{upper}"
