"""YAML files, and the lines of their mistakes."""

import pytest

from prunekit.core import ConfigError
from prunekit.engine.config_file import read_yaml


def test_keys_know_their_lines(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# a comment\nsearcher: genetic\n\ngenetic:\n  population: 8\n")
    data, lines = read_yaml(path, "searcher: greedy")
    assert data == {"searcher": "genetic", "genetic": {"population": 8}}
    assert lines == {("searcher",): 2, ("genetic",): 4, ("genetic", "population"): 5}


def test_a_file_without_keys_is_told_what_one_is_like(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("")
    with pytest.raises(ConfigError, match="such as `searchers: "):
        read_yaml(path, "searchers: [greedy]")


def test_items_of_lists_know_their_lines(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("budgets: [3, 4]\nmodels:\n  - demo\n  - of: demo\n")
    _, lines = read_yaml(path, "searcher: greedy")
    assert lines["budgets", "1"] == 1
    assert (lines["models", "0"], lines["models", "1"], lines["models", "1", "of"]) == (3, 4, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1\nb: 2\n", r"a\.yaml:2: "),
        (b"a: 1\nb: 2\na: 3\n", r"a\.yaml:3: 'a' stands on line 1 too"),
        (b"a:\n  1: 2\n", r"a\.yaml:2: expected a word as key, got '1'"),
        (b"a: 1\n---\nb: 2\n", r"a\.yaml:2: expected a single document in the stream, but found"),
        (b"- one\n", "expected keys and values"),
        (b"", "expected keys and values"),
        (b"\xff\xfe\x00", "not UTF-8|special characters"),
        (
            b"a: !!python/object/apply:os.system [ls]\n",
            r"a\.yaml:1: could not determine a constructor",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path, "searcher: greedy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot read .*nowhere.yaml: No such file"):
        read_yaml(tmp_path / "nowhere.yaml", "searcher: greedy")
