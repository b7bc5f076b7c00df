"""Names that a terminal cannot print, or a disk cannot hold, and what is safe by then."""

import os
import shutil
import subprocess
import sys

import pytest

QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24"]


def test_what_the_terminal_cannot_print_ends_no_command(tiny_model, tmp_path):
    shutil.copytree(tiny_model(), tmp_path / "модель")
    command = [
        "search",
        "--model",
        "модель",
        "--searcher",
        "one-shot",
        "--save",
        "out",
        "--ppl.data",
        "demo",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "prunekit", *command, *QUICK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        encoding="cp1252",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "config.json").is_file()
    assert "\\u043c\\u043e\\u0434\\u0435\\u043b\\u044c" in done.stdout


def test_what_was_found_is_saved_before_it_is_printed(prunekit, tiny_model, monkeypatch, tmp_path):
    from prunekit.plugins.commands.search import printing

    def broken(result):
        raise BrokenPipeError

    monkeypatch.setattr(printing, "show_result", broken)
    words = ["search", "--model", tiny_model(), "--searcher", "one-shot", "--save", "out", *QUICK]
    with pytest.raises(BrokenPipeError):
        prunekit(*words)
    assert (tmp_path / "out" / "config.json").is_file()


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["search", "--model", f"./{LONG}"],
        ["search", "--workdir", LONG],
        ["search", "--save", LONG],
        ["search", "--config", LONG],
        ["search", "--ppl.data", f"{LONG}.txt"],
        ["export", "--run", LONG, "--to", "out"],
        ["export", "--model", "demo", "--remove", "2", "--to", LONG],
        ["evaluate", "--model", "demo", "--remove", "2", "--ppl", f"text={LONG}.txt"],
        ["study", LONG],
        ["report", LONG],
        ["show", LONG],
        ["latency", "--run", LONG],
    ],
)
def test_a_name_that_is_too_long_costs_one_line(prunekit, words):
    status, out, err = prunekit(*words)
    assert (status, out) == (1, "")
    (line,) = [line for line in err.splitlines() if not line.startswith("no --model given")]
    assert line.startswith("error: ")
    assert "File name too long" in line or "no such file" in line
    assert "failed" not in line


@pytest.mark.parametrize("words", [["search", "--workdir", "caf\udce9"], ["show", "caf\udce9"]])
def test_a_name_that_is_not_utf_8_costs_one_line(prunekit, words):
    status, out, err = prunekit(*words)
    assert (status, out) == (1, "")
    assert err == "error: 'caf\\udce9' is not UTF-8; rename the file or folder\n"
