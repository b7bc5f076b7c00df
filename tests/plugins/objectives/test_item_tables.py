"""Items in tables and under other column names, rows that are empty, and lines in messages."""

import csv
import json

import pytest

from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.plugins.objectives.choices import load_items
from prunekit.plugins.objectives.margin import Margin

ROW = {"question": "Who has it?", "choices": ["Ben", "Anna"], "answer": 0}


def table(folder, *rows, name="items.csv"):
    path = folder / name
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ".tsv" in name else ",")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def lines(folder, *rows):
    path = folder / "items.jsonl"
    path.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return str(path)


def one(data, **how):
    (item,) = load_items(data, 0, 1, "margin", **how)
    return item


@pytest.mark.parametrize("name", ["items.csv", "items.tsv"])
@pytest.mark.parametrize("write", [json.dumps, str])
def test_a_table_gives_the_items_of_json_lines(tmp_path, name, write):
    rows = [{**ROW, "question": f"Who has {n}?", "hint": n / 2} for n in range(9)]
    written = [{**row, "choices": write(row["choices"])} for row in rows]
    data = table(tmp_path, *written, name=name)
    assert load_items(data, 3, 5, "margin") == load_items(lines(tmp_path, *rows), 3, 5, "margin")


@pytest.mark.parametrize(
    ("choices", "answer", "right"),
    [
        (["a", "b"], "1", 1),
        (["a", "b"], "b", 1),
        (["1", "0"], "1", 0),
        ([2, 1], "1", 1),
        (["1939", "1945"], "1945", 1),
        (["a", "1.0"], "1.0", 1),
    ],
)
def test_an_answer_of_a_table_is_a_choice_or_else_an_index(tmp_path, choices, answer, right):
    data = table(tmp_path, {**ROW, "choices": json.dumps(choices), "answer": answer})
    assert one(data).answer == right


@pytest.mark.parametrize("choices", ["Ben", "{1: 2}", "[", "[" * 9999, "['Ben' 'Anna'"])
def test_choices_of_a_table_that_are_no_list_are_refused_with_their_line(tmp_path, choices):
    data = table(tmp_path, ROW | {"choices": '["a", "b"]'}, ROW | {"choices": choices})
    with pytest.raises(ConfigError, match="line 3: expected a list as `choices`") as caught:
        load_items(data, 0, 2, "margin")
    assert len(str(caught.value)) < 400


def test_columns_of_other_names_are_read_by_an_option(tmp_path):
    row = {"query": "Who has it?", "A": "Ben", "B": "Anna", "C": "", "gold": "1", "n": "3"}
    option = "question=query, choices=A+B+C, answer=gold"
    item = one(table(tmp_path, row), columns=option)
    assert item == one(lines(tmp_path, {**ROW, "answer": 1}))
    moved = {"label": 1, "options": ["Ben", "Anna"], "stem": "Who has it?"}
    option = "question=stem,choices=options,answer=label"
    assert one(lines(tmp_path, moved), columns=option) == item


@pytest.mark.parametrize(
    "option",
    ["question", "question=", "query=question", "choices=a+,answer=b", "answer=a,answer=b"],
)
def test_an_option_that_names_no_columns_is_refused(option):
    with pytest.raises(
        ConfigError, match="margin.columns: expected question, context.* got"
    ) as caught:
        Margin(data="items.csv", columns=option)
    assert caught.value.key == ("margin", "columns")


def test_only_a_file_has_columns_to_name():
    with pytest.raises(ConfigError, match=r"--margin.columns: data 'demo' is no file; drop"):
        Margin(data="demo", columns="question=query")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "question=stem",
            "line 1: no column `stem` as named by `columns`, found question, choices",
        ),
        ("question=choices", "line 1: `columns` names another column for `question`"),
    ],
)
def test_a_row_that_the_option_does_not_fit_is_named(tmp_path, option, message):
    with pytest.raises(ConfigError, match=message):
        one(lines(tmp_path, ROW), columns=option)


def test_rows_that_hold_nothing_are_skipped_with_one_remark(tmp_path):
    data = lines(tmp_path, "null", {}, "", {"question": None, "choices": []}, ROW, '{"n": NaN}')
    with pytest.warns(Remark, match="4 of 5 rows hold no text and are skipped") as remarks:
        load_items(data, 0, 1, "margin")
    assert len(remarks) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {**ROW, "answer": float("nan")},
            "line 7: expected the columns .* found question, choices;",
        ),
        ({**ROW, "answer": "Eve"}, "line 7, item 'Who has it\\?': the answer 'Eve'"),
        ({**ROW, "answer": 10**400}, "line 7, item .*: the answer 1000"),
        ({**ROW, "choices": ["x" * 999] * 2}, "line 7, item .*: expected two or more different"),
        ({**ROW, "hint": "text"}, "line 7: the column `hint` is not read"),
        ({**ROW, "choices": ["Ben", float("nan")]}, "line 7: an item needs a list of texts"),
        ({**ROW, "a\nb": "text"}, r"line 7: the column `a\\nb` is not read"),
        ({**ROW, "choices": {"a": 1}}, "line 7: an item needs a list of texts"),
        ({"x" * 999: "a"}, "line 7: expected the columns .* `columns` names others"),
        ({"instruction": "Do.", "answer": "a"}, "line 7: not an item of Commonsense-170k"),
    ],
)
def test_an_error_names_the_line_of_the_file_in_every_draw(tmp_path, row, message):
    data = lines(tmp_path, ROW, "", *[ROW] * 4, row, *[ROW] * 3)
    for seed in range(3):
        with pytest.raises(ConfigError, match=f"items.jsonl', {message}") as caught:
            load_items(data, seed, 9, "margin")
        assert len(str(caught.value)) < 500


def test_deep_values_are_searched_for_text_to_their_end(tmp_path):
    deep = "[" * 700 + '"a"' + "]" * 700
    with pytest.raises(ConfigError, match="line 1: the column `hint` is not read"):
        one(lines(tmp_path, json.dumps(ROW)[:-1] + f', "hint": {deep}}}'))
    assert one(lines(tmp_path, json.dumps(ROW)[:-1] + f', "meta": {deep}}}')).answer == 0
