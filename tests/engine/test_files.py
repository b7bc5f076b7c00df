"""Files are replaced atomically, and links are not followed."""

import os
import socket
import uuid

import pytest

from prunekit.core.errors import StorageError
from prunekit.engine.files import rename_into_place, write_text


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("of somebody else")
    return path


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path, other):
    link = tmp_path / "mine.txt"
    link.symlink_to(other)
    write_text(link, "mine")
    assert not link.is_symlink()
    assert (link.read_text(), other.read_text()) == ("mine", "of somebody else")


def test_a_link_under_the_name_of_the_half_written_file_is_not_followed(
    tmp_path, other, monkeypatch
):
    known = uuid.UUID(int=7)
    monkeypatch.setattr(uuid, "uuid4", lambda: known)
    (tmp_path / f".mine.txt.{known.hex[:8]}").symlink_to(other)
    with pytest.raises(StorageError, match="cannot write .*mine.txt: File exists"):
        write_text(tmp_path / "mine.txt", "mine")
    assert other.read_text() == "of somebody else"
    assert not (tmp_path / "mine.txt").exists()


def test_nor_is_one_under_the_name_of_a_half_written_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f".mine.partial-here-{os.getpid()}").symlink_to(elsewhere)
    with pytest.raises(StorageError), rename_into_place(tmp_path / "mine") as partial:
        (partial / "file").write_text("mine")
    assert not list(elsewhere.iterdir())
    assert not (tmp_path / "mine").exists()
