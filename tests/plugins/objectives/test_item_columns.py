"""Items of a local file: what is put before a choice, which choice is right, what is refused."""

import json
import re
from pathlib import Path

import pytest

from prunekit.core import ConfigError
from prunekit.plugins.objectives.choices import load_items
from prunekit.plugins.objectives.item import ABOUT
from prunekit.plugins.objectives.margin import Margin

PASSAGE = "Anna gave the red ball to Ben."
ASKED = {"question": "Who has the ball now?", "choices": ["Ben", "Anna"], "answer": 0}
INSTRUCTION = "Please choose.\n\nAnswer1: a Answer2: b\n\nAnswer format: answer1/answer2"
CODE = "def add_one(x):\n    return"


def read(folder, *rows, blank="auto"):
    """The items of a file with these rows, shuffled."""
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_items(str(path), 0, len(rows), "margin", blank)


def read_one(folder, row, blank="auto"):
    (item,) = read(folder, row, blank=blank)
    return item


def continued(folder, context, *choices, blank="auto"):
    row = {"context": context, "choices": list(choices), "answer": 0}
    return read_one(folder, row, blank).by_content()


@pytest.mark.parametrize("name", ["context", "passage", "article", "support"])
def test_a_passage_stands_before_its_question(tmp_path, name):
    prompt = f"{PASSAGE}\nQuestion: Who has the ball now?\nAnswer:"
    item = read_one(tmp_path, {name: PASSAGE, **ASKED})
    assert item.by_content() == [(prompt, " Ben"), (prompt, " Anna")]
    assert item.by_label()[0][0].startswith(f"{PASSAGE}\n\nPlease choose the correct answer to the")


@pytest.mark.parametrize("other", [{"context": "The king sat on"}, {"context": None}])
def test_what_a_row_gets_does_not_depend_on_the_columns_of_other_rows(tmp_path, other):
    other = {"question": "Who?", "choices": ["x", "y"], "answer": 0, **other}
    prompts = {item.prompt for item in read(tmp_path, ASKED, other)}
    assert "Question: Who has the ball now?\nAnswer:" in prompts


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_column_is_none(tmp_path, empty):
    item = read_one(tmp_path, {"context": empty, "support": empty, "hint": empty, **ASKED})
    assert item.prompt == "Question: Who has the ball now?\nAnswer:"
    row = {"question": empty, "context": "The king sat on", "choices": ["a", "b"], "answer": 0}
    assert read_one(tmp_path, row).prompt == "The king sat on"


def test_numbers_read_as_they_stand_in_their_own_row(tmp_path):
    rows = [
        {"question": "Sum?", "choices": [1, 2], "answer": "2"},
        {"question": "Half?", "choices": [1.5, 0.5], "answer": 0.5},
        {"question": "When?", "choices": ["2020-01-01", "2021-01-01"], "answer": "2021-01-01"},
    ]
    found = read(tmp_path, *rows)
    assert {item.choices for item in found} == {
        ("1", "2"),
        ("1.5", "0.5"),
        ("2020-01-01", "2021-01-01"),
    }
    assert [item.answer for item in found] == [1, 1, 1]


UNREAD = (
    *("hint", "ctx", "dialogue", "Passage", "Passage ", "instruction", "goal", "passages"),
    *("contexts", "paragraphs", "body", "code", "conversation", "situation", "sentence1", "title"),
    *("description", "premises", "content", "question_stem", "a name that nobody has thought of"),
)


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("text", ["Ben is a boy.", ["", "Ben."], [{"turn": {"said": "Ben."}}]])
def test_text_in_a_column_that_is_not_read_is_refused_by_name(tmp_path, name, text):
    line = f"column `{name}` is not read; .* rename it to `context`, else leave it out"
    with pytest.raises(ConfigError, match=line):
        read_one(tmp_path, {name: text, **ASKED})


@pytest.mark.parametrize("name", ["ctx_a", "ctx_b", "endings", "Context"])
def test_beside_a_passage_it_is_to_be_joined_to_that(tmp_path, name):
    row = {"article": PASSAGE, name: "Ben is a boy.", **ASKED}
    with pytest.raises(ConfigError, match=f"`{name}` is not read; .* add its text to `article`"):
        read_one(tmp_path, row)


@pytest.mark.parametrize("name", ["context", "passage", "hint", "Instruction"])
def test_nor_does_an_instruction_lose_a_text(tmp_path, name):
    row = {"instruction": INSTRUCTION, "answer": "answer1", "output": "the correct answer is a"}
    assert read_one(tmp_path, {**row, "id": "x"}) == read_one(tmp_path, row)
    with pytest.raises(ConfigError, match=f"`{name}` is not read; .* add its text to `instruc"):
        read_one(tmp_path, {**row, name: PASSAGE})


@pytest.mark.parametrize(
    "name",
    ["id", "passage_id", "Source", "explanation", "rationale", "subject", "label", "answerKey"],
)
def test_a_column_that_says_something_about_the_item_is_passed_over(tmp_path, name):
    assert read_one(tmp_path, {name: "x", **ASKED}) == read_one(tmp_path, ASKED)


@pytest.mark.parametrize("value", [None, "", " ", [], {}, 3, 0.5, True, [1, 2], [""], {"a": None}])
def test_so_is_a_column_without_text(tmp_path, value):
    assert read_one(tmp_path, {"hint": value, **ASKED}) == read_one(tmp_path, ASKED)


def test_the_docs_name_all_columns_that_are_passed_over():
    text = (Path(__file__).parents[3] / "docs" / "objectives.md").read_text()
    ignored = text[text.index("- **Ignored**") : text.index("; and, in the\n  format")]
    assert {name.lower() for name in re.findall("`(.+?)`", ignored)} == {*ABOUT, "_id"}


def test_two_passages_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="both `context` and `article`; join them"):
        read_one(tmp_path, {"context": PASSAGE, "article": "More.", **ASKED})


def test_a_passage_alone_is_no_question(tmp_path):
    with pytest.raises(ConfigError, match="expected the columns `question`.*found article"):
        read_one(tmp_path, {"article": PASSAGE, "choices": ["a", "b"], "answer": 0})


def test_a_passage_that_is_no_text_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"needs text as its passage, not \['a'\]"):
        read_one(tmp_path, {"passage": ["a"], **ASKED})


def test_more_input_of_an_instruction_is_refused(tmp_path):
    row = {"instruction": INSTRUCTION, "input": "A text.", "answer": "answer1"}
    with pytest.raises(ConfigError, match="the column `input` is not read"):
        read_one(tmp_path, row)


@pytest.mark.parametrize(
    "context",
    [
        CODE,
        "snake_case is",
        "a _ b _ c",
        "a _ b ____",
        "The file a__b.txt is",
        "_private names are",
        "x = (_)",
    ],
)
def test_a_context_without_one_clear_blank_is_continued_as_it_stands(tmp_path, context):
    assert continued(tmp_path, context, "one", "two")[0] == (context, " one")


@pytest.mark.parametrize(
    ("context", "filled"),
    [
        ("The capital of France is ____ today.", "The capital of France is Paris today."),
        ("It is ____.", "It is Paris."),
        ("_ is a town.", "Paris is a town."),
        ("They saw _'s towers.", "They saw Paris's towers."),
        ("They live in _", "They live in Paris"),
        ("snake_case ____ here", "snake_case Paris here"),
        ("snake_case is _ here", "snake_case is Paris here"),
        ("_private, __init__ and a__b: _.", "_private, __init__ and a__b: Paris."),
    ],
)
def test_a_single_run_of_underscores_between_spaces_is_replaced_whole(tmp_path, context, filled):
    assert continued(tmp_path, context, "Paris", "Rome")[0] == ("", filled)


def test_a_blank_is_what_the_option_says(tmp_path):
    gap = "The [gap] sat on _ and slept."
    assert continued(tmp_path, gap, "king", "cat", blank="[gap]")[0] == (
        "",
        "The king sat on _ and slept.",
    )
    assert continued(tmp_path, gap, "king", "cat", blank="none")[0] == (gap, " king")
    assert continued(tmp_path, CODE, "x", "y", blank="[gap]")[0] == (CODE, " x")
    with pytest.raises(ConfigError, match=r"the blank '\[gap\]' occurs 2 times; expected once"):
        continued(tmp_path, "[gap] and [gap]", "a", "b", blank="[gap]")


def test_an_empty_blank_is_refused():
    with pytest.raises(ConfigError, match="margin.blank: expected auto, none, or the text"):
        Margin(data="demo", blank=" ")


def test_a_question_has_no_blank(tmp_path):
    row = {"question": "Paris is in _ ?", "choices": ["France", "Spain"], "answer": 0}
    assert read_one(tmp_path, row).by_content()[0] == (
        "Question: Paris is in _ ?\nAnswer:",
        " France",
    )


def test_white_space_that_is_there_already_is_not_doubled(tmp_path):
    assert continued(tmp_path, "The king ", "sat", "ran")[0] == ("The king ", "sat")
    assert continued(tmp_path, "def f():", "\n  pass", "pass") == [
        ("def f():", "\n  pass"),
        ("def f():", " pass"),
    ]


@pytest.mark.parametrize(
    ("choices", "answer", "right"),
    [
        ([1, 2, 3], "1", 0),
        ([1, 2, 3], 3, 2),
        ([0, 1], 1, 1),
        ([1.5, 2.5], 1.5, 0),
        (["1.5", "2.5"], 2.5, 1),
        (["1939", "1945"], 1945, 1),
        ([1939, 1945], "1945", 1),
        ([True, False], False, 1),
        (["true", "false"], True, 0),
        ([True, False], "false", 1),
        (["B", "A"], "A", 1),
        (["1", "1.0"], "1.0", 1),
        (["zero", "one"], 1, 1),
    ],
)
def test_an_answer_that_reads_like_a_choice_is_that_choice(tmp_path, choices, answer, right):
    row = {"question": "Q?", "choices": choices, "answer": answer}
    assert read_one(tmp_path, row).answer == right


@pytest.mark.parametrize(
    ("choices", "answer", "texts"),
    [
        ([1, 2, 3], 1, '"1" or "2"'),
        (["2", "1", "0"], 2, '"2" or "0"'),
        ([1.0, 2.0], 1, '"1.0" or "2.0"'),
        ([True, False], 1, '"true" or "false"'),
        (["1.0", "1"], 1.0, '"1.0" or "1"'),
    ],
)
def test_where_value_and_index_disagree_the_answer_is_refused(tmp_path, choices, answer, texts):
    row = {"question": "What is 0 plus 1?", "choices": choices, "answer": answer}
    with pytest.raises(ConfigError, match=f"give the right one as text: {texts}"):
        read_one(tmp_path, row)


@pytest.mark.parametrize("answer", ["1", "A", 2, -1, 1.0, True, "yes", 10**400])
def test_an_answer_that_is_no_choice_is_refused(tmp_path, answer):
    row = {"question": "Q?", "choices": ["a", "b"], "answer": answer}
    with pytest.raises(ConfigError, match="is not one of its 2 choices; give the text"):
        read_one(tmp_path, row)


def test_choices_that_are_no_text_read_as_in_json(tmp_path):
    row = {"question": "Is ice cold?", "choices": [True, False], "answer": True}
    assert read_one(tmp_path, row).choices == ("true", "false")
