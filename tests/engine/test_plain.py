"""JSON as prunekit writes it, and what it never writes."""

import pytest

from prunekit.engine.plain import parse_json, shortened


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "é"]}', "[]", "1", '"\\ud83d\\ude00"'])
def test_what_prunekit_writes_is_read(text):
    parse_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "it has no NaN"),
        ('{"a": [-Infinity]}', "it has no -Infinity"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"b": {"a": 1, "a": 1}}', "it has 'a' twice"),
        ("[" * 70 + "]" * 70, "it is nested too deeply"),
        ('{"a": ' * 70 + "1" + "}" * 70, "it is nested too deeply"),
        ("[" * 100_000, "it is nested too deeply"),
        ("9" * 5000, "Exceeds the limit"),
        ("", "Expecting value"),
    ],
)
def test_what_it_never_writes_is_an_error_of_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 200


def test_a_value_in_a_message_has_a_beginning_and_an_end():
    assert shortened([1, "a"]) == "[1, 'a']"
    text = shortened(["x" * 5000, 7], most=60)
    assert len(text) == 60
    assert text.startswith("['xxx")
    assert text.endswith("xx', 7]")
