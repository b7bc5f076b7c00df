"""The JSON files that the commands leave behind, read back."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.measurement import Measurement
from prunekit.engine.provenance import read_provenance
from prunekit.engine.result import read_result
from prunekit.engine.stored import read_stored
from prunekit.plugins.commands.evaluate.scores import PerplexityScore
from prunekit.plugins.commands.evaluate.store import ScoreStore, read_record, rows_of
from prunekit.plugins.commands.latency.latency import read_latency

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
        ('{"schema": 1}', "is missing"),
        ('{"schema": 1, "schema": 1}', "it has 'schema' twice"),
        ('{"schema": 1, "x": 1e999}', "1e999 is too large"),
        ('{"schema": 1, "x": ' + "[" * 300 + "]" * 300 + "}", "it is nested too deeply"),
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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights", [None, 2.0]),
        ("weights", [-1.0, 2.0]),
        ("weights", [0, 2.0]),
        ("weights", [2.0]),
        ("weights", [True, 2.0]),
        ("sums", ["1", 2.0]),
        ("sums", {}),
        ("record", 3),
        ("record", {"tokens": 4}),
        ("name", "other"),
        ("removed", [2]),
        ("model", {"weights": "other"}),
    ],
)
def test_a_kept_score_that_no_evaluation_gives_is_named(tmp_path, key, value):
    store = ScoreStore(tmp_path, {"weights": "abc"})
    score = PerplexityScore(
        "demo", Measurement((1.0, float("inf")), (2.0, 2.0)), {"tokens": 4, "digest": "d"}
    )
    store.keep(frozenset({1}), "x", score)
    assert store.perplexity(frozenset({1}), "demo", "x") == score
    (path,) = tmp_path.rglob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ConfigError, match=r"; remove it and evaluate again") as caught:
        store.perplexity(frozenset({1}), "demo", "x")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", [None, {}, {"median": "fast", "low": 1.0, "high": 1.0}])
def test_a_timing_that_holds_no_numbers_is_named(quick, value):
    run = Path(prunekit.search(**quick, searcher="one-shot").run)
    short = {"prompt_length": 8, "new_tokens": 2, "repeats": 2}
    timed = prunekit.latency(run=run, **short).as_dict()
    assert read_latency(run) == json.loads(json.dumps(timed))
    (run / "latency.json").write_text(json.dumps({**timed, "prefill_ratio": value}))
    with pytest.raises(
        ConfigError, match=r"prefill_ratio(\.median)? (cannot be|is miss).*; time the run again"
    ):
        read_latency(run)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("dense", "low"), ("of", "dense"), ("fingerprint", None), ("record", []), ("metric", 1)),
        *(("record", {}), ("record", {"tokens": "many"}), ("standard_error", -1.0)),
    ],
)
def test_an_evaluation_that_holds_something_else_is_named(tmp_path, key, value):
    row = {
        **{"name": "demo", "metric": "perplexity", "dense": 2.0, "pruned": None},
        **{"difference": None, "standard_error": None, "higher_is_better": False},
        **{"of": ["dense", "pruned"], "record": {"tokens": 9}, "fingerprint": {}, "versions": {}},
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"schema": 1, "perplexities": {"demo": [row]}, "tasks": {}}))
    assert rows_of(read_record(tmp_path))[0].dense == 2.0
    path.write_text(
        json.dumps({"schema": 1, "perplexities": {}, "tasks": {}, "removed": 3}),
    )
    with pytest.raises(ConfigError, match="removed cannot be 3; remove it and evaluate again"):
        read_record(tmp_path)
    broken = {"demo": [{**row, key: value}]}
    path.write_text(json.dumps({"schema": 1, "perplexities": broken, "tasks": {}}))
    with pytest.raises(
        ConfigError, match=rf"perplexities.demo.*{key}.* (cannot be|is missing).*; remove it and"
    ):
        read_record(tmp_path)
