"""The JSON files that the commands leave behind, read back."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.workflows.evaluation.record import read_record
from prunekit.workflows.latency import read_latency
from prunekit.workflows.provenance import read_provenance
from prunekit.workflows.result import read_result
from prunekit.workflows.stored import read_stored

READERS = {
    "result.json": (read_result, "run the search again"),
    "evaluation.json": (read_record, "evaluate again"),
    "latency.json": (read_latency, "time the run again"),
    "prunekit.json": (read_provenance, "export the model again"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"half', "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[1]", "expected a record of schema 1"),
        ('{"schema": 2}', "expected a record of schema 1"),
        ('{"schema": 1}', "expected a record of schema 1"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_makes_it_anew(tmp_path, name, text, message):
    read, again = READERS[name]
    Path(tmp_path, name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=f"{name}.*{message}.*{again}"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["evaluation.json", "latency.json", "prunekit.json"])
def test_what_was_never_written_is_nothing(tmp_path, name):
    assert READERS[name][0](tmp_path) is None


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_stored(tmp_path, 1, (), "do it again")


def test_what_is_whole_is_read(tiny_model, tmp_path):
    to = prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "pruned")
    assert read_provenance(to) == json.loads((to / "prunekit.json").read_text())
