"""What a bar shows of work whose end is not known, or was guessed wrong."""

import io

import pytest
from rich.console import Console

from prunekit.cli import bar as bars
from prunekit.engine.progress import Progress


class Bar(Progress):
    def __init__(self):
        self.columns = bars._columns(Console(file=io.StringIO(), width=80))
        super().__init__(bars._drawn_by(self.columns))


@pytest.fixture
def bar():
    return Bar()


def line(bar):
    with bar.columns.console.capture() as captured:
        bar.columns.console.print(bar.columns.make_tasks_table(bar.columns.tasks))
    return captured.get()


def test_a_stage_without_a_count_shows_its_time(bar):
    bar.begin("loading the model")
    assert "loading the model" in line(bar)
    assert "0:00:0" in line(bar)
    assert "left" not in line(bar)


def test_a_total_that_was_guessed_too_low_is_no_longer_shown(bar):
    bar.begin("searching", "subsets", lambda: 30)
    bar.advance(10)
    assert "10/30 subsets" in line(bar)
    bar.advance(60)
    assert "60/?" in line(bar)
    assert "30" not in line(bar)


def test_a_stage_of_unknown_length_does_not_inherit_the_total_of_the_one_before(bar):
    bar.begin("searching", "subsets", lambda: 30)
    bar.begin("saving", "files")
    assert "0/? files" in line(bar)
