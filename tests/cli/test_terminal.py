"""Nothing that a terminal would obey reaches it from outside."""

import io
import json

import pytest
from rich.table import Table

from prunekit.cli.printable import printable
from prunekit.cli.screen import Screen, styled

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\rfine\u202eback\u2066\u2028next"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\rfine\u202eback\u2066\u2028next"
OBEYED = set(EVIL) - set("]0;owned[2J31mfinebacknext")


def clean(*texts):
    return not OBEYED & set("".join(texts))


@pytest.mark.parametrize(
    "text",
    [
        "Привет",
        "模型 日本語 한국어",
        "عربي \u200fעברית\u200e",
        "👩\u200d👩\u200d👧 é e\u0301 ±∞ρ",
        "│─█·",
    ],
)
def test_what_people_write_is_printed_as_it_is(text):
    assert printable(text) == text


def test_what_a_terminal_obeys_is_written_out():
    assert printable(EVIL) == SHOWN
    assert printable("one\ntwo\n\n") == "one\\ntwo\n\n"
    assert printable("\udcff") == r"\udcff"
    assert printable("".join(map(chr, [*range(32), *range(127, 160)])) + "x").isprintable()


@pytest.mark.parametrize("cell", [lambda text: text, styled])
def test_tables_stay_aligned(cell):
    file = io.StringIO()
    table = Table("name", "number")
    for name in ("plain", EVIL, "模型", "a\nb"):
        table.add_row(cell(name), "1")
    Screen(file=file, width=120, highlight=False, markup=False, emoji=False).print(table)
    lines = file.getvalue().splitlines()
    assert clean(*lines)
    assert len({len(line) + line.count("模") + line.count("型") for line in lines}) == 1


def test_an_error_is_one_line(prunekit, tmp_path):
    for words in (
        ["show", f"no{EVIL}where\nerror: forged"],
        ["search", "--model", f"no{EVIL}\nwhere"],
        ["report", f"{EVIL}\n"],
        ["new-plugin", f"a\n{EVIL}", "--kind", "searcher"],
    ):
        status, out, err = prunekit(*words)
        assert status == 1
        assert clean(out, err)
        assert len(err.splitlines()) == 1, err


def test_what_a_checkpoint_says_of_itself_cannot_move_the_cursor(prunekit, tiny_model, tmp_path):
    to = tmp_path / "pruned"
    assert prunekit("export", "--model", tiny_model(), "--remove", "1", "--to", to)[0] == 0
    record = json.loads((to / "prunekit.json").read_text())
    changed = {
        **record,
        "model": EVIL + "\nsearch it    prunekit search --model other",
        "weights": EVIL,
        "versions": {EVIL: EVIL},
    }
    (to / "prunekit.json").write_text(json.dumps(changed))
    status, out, err = prunekit("show", to)
    assert status == 0
    assert clean(out, err)
    assert SHOWN in out
    assert not any(line.startswith("search it") for line in out.splitlines())
    status, out, _ = prunekit("show", to, "--json")
    assert json.loads(out)["record"]["model"] == changed["model"]
    assert clean(out)


def test_nor_can_the_texts_of_a_plugin_or_the_keys_of_a_file(prunekit, install, tmp_path):
    install(
        "prunekit-loud",
        "from dataclasses import dataclass\n"
        "from prunekit.core import hookimpl, option\n"
        "@dataclass(frozen=True)\n"
        "class Loud:\n"
        f"    {EVIL!r}\n"
        "    name = 'loud'\n"
        f"    paper = {EVIL!r}\n"
        f"    level: int = option(1, {EVIL!r})\n"
        "    def search(self, problem):\n"
        f"        raise ValueError({EVIL!r})\n"
        "        yield\n"
        "@hookimpl\ndef prunekit_searchers(): return [Loud]\n",
    )
    (tmp_path / "c.yaml").write_text(json.dumps({EVIL: 1}))
    for words, expected in (
        (["list-plugins"], 0),
        (["list-plugins", "loud"], 0),
        (["search", "--help"], 0),
        (["search", "--searcher", "loud", "--dry-run"], 1),
        (["search", "--config", "c.yaml"], 1),
        (["search", "--searcher", f"{EVIL}"], 1),
    ):
        status, out, err = prunekit(*words)
        assert status == expected
        assert clean(out, err.replace("\x1b", "")) if "--help" in words else clean(out, err)
