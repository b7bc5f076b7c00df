"""Create a plugin: a small distribution that installs, runs and passes its own tests."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from prunekit.core.contracts import RESERVED
from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.core.registry import load
from prunekit.engine.escaping import shell_word
from prunekit.engine.files import check_target, rename_into_place, writing

PREFIX = "prunekit-"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
WORDS = {
    "searcher": ("a searcher", "prunekit search --searcher {name}"),
    "objective": ("an objective", "prunekit search --objective {name}"),
    "model": ("a model family", "prunekit search --adapter {name} --model FOLDER"),
    "repair": ("a repair", "prunekit search --repair {name}"),
    "backend": ("a backend", "prunekit search --backend {name}"),
    "tracker": ("a tracker", "prunekit track RUN --tracker {name}"),
    "command": ("a command", "prunekit {name}"),
}
"""By kind, its name with an article, and the command that uses such a plugin."""


def new_plugin(name: str, kind: str, to: str | Path | None = None) -> Path:
    """Write a distribution `prunekit-NAME` with one plugin called `name`, and return its folder.

    `kind` is searcher, objective, model, repair, backend, tracker or command. `to` defaults to a
    folder with the name of the distribution in the current one. Raises ConfigError if the name or
    the kind is invalid, or if `to` exists: nothing is overwritten.
    """
    if kind not in WORDS:
        raise ConfigError(f"--kind {kind!r}: no such kind of plugin.{suggest(kind, WORDS)}")
    name = name.removeprefix(PREFIX)
    _check_name(name)
    folder = Path(to or f"{PREFIX}{name}")
    if folder.is_dir():
        new = shell_word(str(folder / f"{PREFIX}{name}"))
        raise ConfigError(f"{folder} exists already; name a new folder, as --to {new}")
    check_target(folder)
    texts = _texts(name, kind)
    with rename_into_place(folder) as partial, writing(folder):
        for path, text in texts.items():
            (partial / path).parent.mkdir(exist_ok=True)
            (partial / path).write_text(text, encoding="utf-8")
    return folder


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a plugin: expected lower-case words joined by "
            "hyphens, starting with a letter, as `random-swaps`"
        )
    if reason := _reserved(name):
        raise ConfigError(f"{name!r} is {reason}; choose another name, as `my-{name}`")
    for entry in load().named(name):
        raise ConfigError(
            f"{WORDS[entry.kind][0]} called {name!r} is installed already, from {entry.source} "
            f"{entry.version}; choose another name"
        )


def _reserved(name: str) -> str | None:
    """Return the meaning that a word already has among names of plugins, if any."""
    if name in RESERVED:
        return "a setting of a search"
    if keyword.iskeyword(name):
        return f"a word of Python, where options are given as prunekit.search({name}={{...}})"
    return "prunekit itself" if name == PREFIX.rstrip("-") else None


def _class_name(name: str, kind: str) -> str:
    """Join the words of the name, and the kind unless the name ends in it.

    >>> _class_name("random-swaps", "searcher"), _class_name("my-searcher", "searcher")
    ('RandomSwapsSearcher', 'MySearcher')
    """
    words = name.removesuffix(f"-{kind}").split("-")
    return "".join(map(str.capitalize, [*words, kind]))


def _texts(name: str, kind: str) -> dict[str, str]:
    """Fill in the templates of the distribution's files, by path."""
    a_kind, command = WORDS[kind]
    words = {
        "name": name,
        "kind": kind,
        "a_kind": a_kind,
        "distribution": f"{PREFIX}{name}",
        "module": f"prunekit_{name}".replace("-", "_"),
        "class_name": _class_name(name, kind),
        "group": '"prunekit.commands"' if kind == "command" else "prunekit",
        "requires": _requirement(),
        "command": command.format(name=name),
    }
    templates = files("prunekit.plugins.commands.new_plugin") / "templates"
    sources = {
        "pyproject.toml": templates / "pyproject.toml.template",
        "README.md": templates / "README.md.template",
        f"{words['module']}.py": templates / kind / "module.py.template",
        f"tests/test_{words['module']}.py": templates / kind / "test.py.template",
    }
    return {
        path: Template(source.read_text(encoding="utf-8")).substitute(words)
        for path, source in sources.items()
    }


def _requirement() -> str:
    """Require releases compatible with this one: 0.2 may break what 0.1 promised."""
    major, minor, *_ = version("prunekit").split(".")
    upper = f"{major}.{int(minor) + 1}" if major == "0" else str(int(major) + 1)
    return f"prunekit>={major}.{minor},<{upper}"
