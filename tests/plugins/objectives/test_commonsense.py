"""The format of Commonsense-170k, all eight tasks of it."""

import json

import pytest

from prunekit.core import ConfigError
from prunekit.plugins.objectives.choices import load_items
from prunekit.plugins.objectives.commonsense import parse_commonsense

CHOOSE = "Please choose the correct answer to the question: "
WINOGRANDE = "Ian thanked Bob, since _ had helped."
TASKS = {
    "boolq": (
        "Please answer the following question with true or false, question: is ice cold?\n\n"
        "Answer format: true/false",
        ("is ice cold?", ("true", "false")),
    ),
    "piqa": (
        "Please choose the correct solution to the question: Open a door\n\n"
        "Solution1: pull it\n\nSolution2: eat it\n\nAnswer format: solution1/solution2",
        ("Open a door", ("pull it", "eat it")),
    ),
    "siqa": (
        f"{CHOOSE}Ann slept. Why?\n\nAnswer1: tired Answer2: hungry Answer3: angry\n\n"
        "Answer format: answer1/answer2/answer3",
        ("Ann slept. Why?", ("tired", "hungry", "angry")),
    ),
    "hellaswag": (
        "Please choose the correct ending to complete the given sentence: Baking: She mixes\n\n"
        "Ending1: and sings. Ending2: and water. Ending3: in bed. Ending4: twice.\n\n"
        "Answer format: ending1/ending2/ending3/ending4",
        ("Baking: She mixes", ("and sings.", "and water.", "in bed.", "twice.")),
    ),
    "winogrande": (
        "Please choose the correct answer to fill in the blank to complete the given sentence: "
        "Ian thanked Bob, since _ had helped.\n\nOption1: Ian Option2: Bob "
        "Answer format: option1/option2",
        ("Ian thanked Bob, since _ had helped.", ("Ian", "Bob")),
    ),
    "arc-three": (
        f"{CHOOSE}Which is a metal?\n\nAnswer1: iron Answer2: wood Answer3: air\n\n"
        "Answer format: answer1/answer2/answer3",
        ("Which is a metal?", ("iron", "wood", "air")),
    ),
    "arc-five": (
        f"{CHOOSE}Pick.\n\nAnswer1: a Answer2: b Answer3: c Answer4: d Answer5: e\n\n"
        "Answer format: answer1/answer2/answer3/answer4/answer5",
        ("Pick.", ("a", "b", "c", "d", "e")),
    ),
    "openbookqa": (
        f"{CHOOSE}The sun is\n\nAnswer1: hot Answer2: cold Answer3: wet Answer4: loud\n\n"
        "Answer format: answer1/answer2/answer3/answer4",
        ("The sun is", ("hot", "cold", "wet", "loud")),
    ),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_taken_apart(task):
    instruction, (stem, choices) = TASKS[task]
    question = parse_commonsense(instruction)
    assert (question.stem, question.choices) == (stem, choices)
    assert question.blank == (task == "winogrande")


def test_a_marker_in_the_question_does_not_win():
    instruction = (
        f"{CHOOSE}What does Answer1: mean?\n\nAnswer1: a label Answer2: nothing\n\n"
        "Answer format: answer1/answer2"
    )
    question = parse_commonsense(instruction)
    assert question.stem == "What does Answer1: mean?"
    assert question.choices == ("a label", "nothing")


@pytest.mark.parametrize(
    "instruction",
    ["What?", f"{CHOOSE}Q?\n\nAnswer1: a\n\nAnswer format: answer1/answer2"],
)
def test_anything_else_is_named(instruction):
    with pytest.raises(ConfigError, match="not an item of Commonsense-170k"):
        parse_commonsense(instruction)


def item(task, answer, tmp_path):
    row = {"instruction": TASKS[task][0], "input": "", "output": f"the correct answer is {answer}"}
    path = tmp_path / "commonsense.json"
    path.write_text(json.dumps([{**row, "answer": answer}]))
    (found,) = load_items(str(path), 0, 1, "margin")
    return found


def test_by_content_a_choice_follows_its_question(tmp_path):
    found = item("piqa", "solution2", tmp_path)
    assert found.answer == 1
    assert found.by_content()[0] == ("Question: Open a door\nAnswer:", " pull it")


def test_by_content_a_blank_is_filled_and_the_sentence_scored(tmp_path):
    found = item("winogrande", "option2", tmp_path)
    assert found.by_content()[1] == ("", "Ian thanked Bob, since Bob had helped.")


@pytest.mark.parametrize(
    ("sentence", "filled"),
    [
        ("The file a_b is _ now.", "The file a_b is Bob now."),
        ("They saw _private and _.", "They saw _private and Bob."),
        ("It was (_) of a_b.", "It was (Bob) of a_b."),
    ],
)
def test_the_blank_is_the_underscore_between_spaces_if_there_is_one(tmp_path, sentence, filled):
    row = {"instruction": TASKS["winogrande"][0].replace(WINOGRANDE, sentence)}
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({**row, "answer": "option2"}))
    (found,) = load_items(str(path), 0, 1, "margin")
    assert found.by_content()[1] == ("", filled)


def test_by_label_the_instruction_stands_first(tmp_path):
    found = item("arc-three", "answer1", tmp_path)
    assert found.by_label()[0] == (f"{TASKS['arc-three'][0]}\n\nthe correct answer is", " answer1")


def test_an_item_whose_right_choice_stands_twice_is_dropped(tmp_path):
    instruction = f"{CHOOSE}Q?\n\nAnswer1: a Answer2: a\n\nAnswer format: answer1/answer2"
    rows = [
        {"instruction": instruction, "answer": "answer1"},
        {"instruction": TASKS["piqa"][0], "answer": "solution1"},
    ]
    path = tmp_path / "commonsense.json"
    path.write_text(json.dumps(rows))
    assert len(load_items(str(path), 0, 1, "margin")) == 1
    with pytest.raises(ConfigError, match="has 1 usable items"):
        load_items(str(path), 0, 2, "margin")


def test_an_item_without_a_correct_choice_is_named(tmp_path):
    with pytest.raises(ConfigError, match="'solution3' is not one of solution1, solution2"):
        item("piqa", "solution3", tmp_path)
