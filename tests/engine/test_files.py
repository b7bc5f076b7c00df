"""Files are replaced atomically, and links are not followed."""

import os
import socket
import uuid

import pytest

from prunekit.core.errors import StorageError
from prunekit.engine.files import check_writable, rename_into_place, write_text


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
    known = uuid.UUID(int=7)
    monkeypatch.setattr(uuid, "uuid4", lambda: known)
    name = f".mine.partial-here-{os.getpid()}-{known.hex[:8]}"
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(StorageError), rename_into_place(tmp_path / "mine") as partial:
        (partial / "file").write_text("mine")
    assert not list(elsewhere.iterdir())
    assert not (tmp_path / "mine").exists()


def test_a_dead_process_of_the_same_number_is_cleared_up_after(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "container")
    leftover = tmp_path / f".mine.partial-container-{os.getpid()}-0123abcd"
    leftover.mkdir()
    with rename_into_place(tmp_path / "mine") as first:
        with rename_into_place(tmp_path / "mine") as second:
            (second / "file").write_text("2")
        (first / "file").write_text("1")  # it was not taken for a dead one
        (tmp_path / "mine").rename(tmp_path / "other")
    assert not leftover.exists()
    assert (tmp_path / "mine" / "file").read_text() == "1"


def test_a_name_that_is_too_long_is_seen_before_any_work(tmp_path):
    with pytest.raises(StorageError, match="File name too long; choose another place"):
        check_writable(tmp_path / ("x" * 300))
