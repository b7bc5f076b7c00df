"""Numbers of texts, by hand."""

import itertools

import pytest

from prunekit.plugins.commands.certify import text_measures as measures
from prunekit.plugins.commands.certify.exercises import KINDS, exercises_of, scores
from prunekit.plugins.commands.certify.generation import Written


def written(tokens=(), ended=True, text=""):
    return Written(tuple(tokens), ended, text)


def test_repetition_counts_sequences_of_four_tokens():
    assert measures.unrepeated(written([1, 2, 3, 4, 5, 6])) == 1
    assert measures.unrepeated(written([1, 2, 3, 4] * 3)) == 4 / 9
    assert measures.unrepeated(written([7, 7])) == 1


def test_variety_is_over_all_texts_after_a_prompt():
    assert measures.variety([written([1, 2, 3]), written([1, 2, 3])]) == 2 / 4
    assert measures.variety([written([1, 2, 3]), written([3, 2, 1])]) == 1


def test_a_text_that_ends_at_once_is_no_answer():
    assert measures.answered(written([1, 2])) == 0
    assert measures.answered(written([1, 2, 3])) == 1
    assert measures.answered(written([1], ended=False)) == 1


def test_drift_to_another_script_and_language():
    scripts = measures.scripts_of(["The cat sat on the mat, and the dog too. " * 5 + "я"])
    assert scripts == {"LATIN"}
    assert measures.in_scripts("ab яб 12", scripts) == 0.5
    assert measures.in_scripts("12 34", scripts) == 1
    known = measures.trigrams("the cat sat on the mat")
    assert measures.in_language("The mat!", known) == 1
    assert measures.in_language("xqzw vvkj", known) == 0


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('He said "yes (again)".', 1),
        ("print(a[0])", 1),
        ("1) one 2) two", 1),
        ("a (b] c", 0),
        ("(a", 0),
        ('"a', 0),
        ("a] b", 0),
        ("“so”", 1),
    ],
)
def test_brackets_and_quotes(text, score):
    assert measures.balanced(written(text=text)) == score


def test_what_is_cut_may_be_open():
    assert measures.balanced(written(text='("a', ended=False)) == 1
    assert measures.balanced(written(text="(a]", ended=False)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answer_of_an_exercise_is_right_and_another_is_wrong(kind):
    exercises = exercises_of(kind, 20, seed=3)
    assert exercises == exercises_of(kind, 20, seed=3) != exercises_of(kind, 20, seed=4)
    right = [f" {each.answer}\nand so on" for each in exercises]
    assert scores(kind, exercises, right) == [1.0] * 20
    assert scores(kind, exercises, right[1:] + right[:1]).count(1.0) < 10
    assert scores(kind, exercises, [""] * 20) == [0.0] * 20


def test_exercises_say_what_is_true():
    for each in exercises_of("arithmetic", 50, seed=0):
        *solved, asked = each.prompt.splitlines()
        assert all(eval(line.replace("=", "==")) for line in solved)
        assert eval(f"{asked.rstrip(' =')}") == int(each.answer)
    for each in exercises_of("counting", 50, seed=0):
        numbers = [int(x) for x in (each.prompt + " " + each.answer).replace(",", " ").split()]
        assert len({b - a for a, b in itertools.pairwise(numbers)}) == 1
    for each in exercises_of("copying", 50, seed=0):
        assert each.prompt.endswith(f"Text: {each.answer}\nCopy:")
