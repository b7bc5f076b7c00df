"""The notebooks of the docs run from their first cell to the last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def kinds(book):
    """What the cells show: its numbers may be others on another machine."""
    outputs = [o for cell in book.cells for o in cell.get("outputs", [])]
    return [sorted(o["data"]) for o in outputs if "data" in o]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_the_same_kinds_of_things(path, tmp_path):
    book = nbformat.read(path, as_version=4)
    before = kinds(book)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert kinds(book) == before


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_clean(path):
    outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
    assert outputs
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert "/tmp" not in str(outputs)
