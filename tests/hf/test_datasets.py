"""Rows of local files are read unchanged."""

import gzip
import json

import pytest

from prunekit.core import ConfigError
from prunekit.hf import file_rows

ROWS = [{"text": "a\u2028b", "n": 1}, {"text": "2020-01-01", "n": 1.5}]
WAYS = {
    "lines.jsonl": "\n".join(map(json.dumps, ROWS)),
    "raw.jsonl": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n",
    "list.json": json.dumps(ROWS, indent=2),
    "spread.json": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "marked.json": "\ufeff" + json.dumps(ROWS),
}


@pytest.mark.parametrize("name", WAYS)
def test_rows_of_json_keep_the_types_that_stand_in_each_of_them(tmp_path, name):
    (tmp_path / name).write_text(WAYS[name], encoding="utf-8")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(WAYS[name].encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        found = file_rows(path, "demo")
        assert found == ROWS
        assert type(found[0]["n"]) is int


@pytest.mark.parametrize("content", ["5", '["a"]', '{"text": "a"} 7', '{"text": "a"', "text"])
def test_anything_but_objects_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ConfigError, match=r"cannot be read: .* expected one JSON object a line"):
        file_rows(tmp_path / "a.json", "demo")
