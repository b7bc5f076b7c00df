"""Every function that takes long says how far it is, under one name."""

import inspect
import io

import nbformat
import pytest
from nbclient import NotebookClient
from rich.console import Console

import prunekit
from prunekit.cli.bar import bar, reporting
from prunekit.engine.progress import Progress, Step

QUICK = {"searcher": "one-shot", "budget": 2, "ppl": {"samples": 2, "length": 16}}
AT_ONCE = {"list_plugins", "load_study", "new_plugin", "show"}
FUNCTIONS = sorted(name for name in prunekit.__all__ if name.islower() and name not in AT_ONCE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_progress_is_an_argument_of_every_function_that_takes_long(name):
    assert inspect.signature(getattr(prunekit, name)).parameters["progress"].default is False


def test_a_callable_takes_every_step(tmp_path):
    steps = []
    prunekit.search("demo", **QUICK, finalists=0, workdir=tmp_path, progress=steps.append)
    searched = [step for step in steps if step.what == "searching"]
    assert steps[0] == Step("loading the model")
    assert searched[-1].done == searched[-1].total == 16
    assert searched[-1].unit == "subsets"
    assert str(searched[-1]).startswith("searching: 16 of 16 subsets")


def test_what_finalists_need_is_no_progress_of_the_search(tmp_path):
    steps = []
    prunekit.search("demo", **QUICK, workdir=tmp_path, progress=steps.append)
    finals = [step for step in steps if step.what == "measuring finalists"]
    assert {step.total for step in finals[1:]} == {9}  # five, three rankings', the dense model
    assert [step.done for step in finals] == sorted(step.done for step in finals)


def test_without_anybody_to_show_it_to_nothing_is_estimated(tmp_path, monkeypatch):
    def expected(plan):
        raise AssertionError("estimated")

    monkeypatch.setattr("prunekit.plugins.commands.search.search._expected", expected)
    prunekit.search("demo", **QUICK, finalists=0, workdir=tmp_path)


def test_a_bar_is_drawn_on_a_terminal_alone():
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80)
    with bar(terminal) as progress:
        progress.count("timing", 3, 8, "generations")
    assert "3/8 generations" in terminal.file.getvalue()
    pipe = Console(file=io.StringIO(), width=80)
    with bar(pipe) as progress:
        progress.count("timing", 3, 8, "generations")
    assert pipe.file.getvalue() == ""


def test_true_is_quiet_where_nobody_would_see_it(capsys):
    with reporting(True) as progress:
        progress.count("timing", 3, 8, "generations")
    assert capsys.readouterr() == ("", "")


def test_progress_that_is_passed_on_is_the_same():
    outer = Progress()
    with reporting(outer) as inner:
        assert inner is outer


def test_a_notebook_shows_the_bar_as_text_and_takes_it_away_in_the_end(tmp_path):
    book = nbformat.v4.new_notebook()
    book.cells = [
        nbformat.v4.new_code_cell(
            "from prunekit.cli.bar import reporting\n"
            "shown = []\n"
            "import IPython.display as d\n"
            "show = d.display\n"
            "class Seen:\n"
            "    def __init__(self, cell): self.cell = cell\n"
            "    def update(self, data, raw):\n"
            "        shown.append(data['text/plain'])\n"
            "        self.cell.update(data, raw=raw)\n"
            "d.display = lambda *given, **how: Seen(show(*given, **how))\n"
            "with reporting(True) as progress:\n"
            "    progress.count('timing', 3, 8, 'generations')\n"
            "print(shown)"
        )
    ]
    NotebookClient(book, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown, printed = book.cells[0].outputs
    assert shown["data"]["text/plain"] == ""
    assert "3/8 generations" in printed["text"]
    assert "ipywidgets" not in str(book)
