"""YAML files, and the lines of their mistakes."""

import pytest

from prunekit.core import ConfigError
from prunekit.engine.config_file import read_yaml

LAUGHS = b"a0: &a0 [1, 2]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 12)
)


def test_an_alias_that_repeats_a_part_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("one: &one {seed: 1}\ntwo: *one\n")
    data, lines = read_yaml(path, "searcher: greedy")
    assert data == {"one": {"seed": 1}, "two": {"seed": 1}}
    assert lines["two", "seed"] == 1


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
        (b"a: 1\nb: 2\na: 3\n", r"a\.yaml:3: 'a' is on line 1 too"),
        (b"a:\n  1: 2\n", r"a\.yaml:2: expected a word as key, got '1'"),
        (b"a: 1\n---\nb: 2\n", r"a\.yaml:2: expected a single document in the stream, but found"),
        (b"- one\n", "expected keys and values"),
        (b"", "expected keys and values"),
        (b"\xff\xfe\x00", "not UTF-8|special characters"),
        (
            b"a: !!python/object/apply:os.system [ls]\n",
            r"a\.yaml:1: could not determine a constructor",
        ),
        (b"a: 1\nb: 2001-99-99\n", r"a\.yaml:2: '2001-99-99' cannot be read .* quote it"),
        (b"a: !!int abc\n", r"a\.yaml:1: 'abc' cannot be read"),
        (b"a: !!float abc\n", r"a\.yaml:1: 'abc' cannot be read"),
        (b"a: !!bool abc\n", r"a\.yaml:1: 'abc' cannot be read"),
        (b"a: !!timestamp abc\n", r"a\.yaml:1: 'abc' cannot be read"),
        (b"a: " + b"7" * 5000, r"a\.yaml:1: '7{40}' cannot be read"),
        (b"a: [2, !!int x]\n", r"a\.yaml:1: 'x' cannot be read"),
        (b"a: " + b"[" * 3000, r"a\.yaml: expected at most 10,000 values in 20 levels"),
        (b"a: " + b"[" * 50 + b"]" * 50, r"a\.yaml: expected at most 10,000 values in 20 levels"),
        (b"a: &a [*a]\n", r"a\.yaml: expected at most 10,000 values in 20 levels"),
        (b"a: &a {b: *a}\n", r"a\.yaml: expected at most 10,000 values in 20 levels"),
        (LAUGHS, r"a\.yaml: expected at most 10,000 values in 20 levels"),
        (b"? [a]\n: b\n", r"a\.yaml:1: expected a word as key"),
        (b"<<: 3\n", r"a\.yaml:1: expected a"),
        (b"a: !!binary x\n", r"a\.yaml:1: "),
        (rb'a: "\ud800"', r"a\.yaml:1: '.*ud800' cannot be read"),
        (rb'"\ud800": 1', r"a\.yaml:1: '.*ud800' cannot be read"),
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
