"""One dataclass field gives a flag, a key, a row of help and a check."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from prunekit.core import ConfigError, PluginError, internal, option
from prunekit.core.options import build, internals_of, options_of, values_of


@dataclass(frozen=True)
class Plugin:
    count: int = option(3, "how many", low=1, high=9)
    share: float = option(0.5, "how much", low=0, high=1)
    fast: bool = option(False, "at once")
    mode: Literal["mean", "max"] = option("mean", "how to join")
    file: Path | None = option(None, "where from")
    word: str = option("x", "what")


def test_text_from_a_flag_and_values_from_a_file_give_the_same_plugin():
    from_flags = {"count": "4", "share": "0.25", "fast": "true", "mode": "max", "file": "a/b"}
    from_file = {"count": 4, "share": 0.25, "fast": True, "mode": "max", "file": "a/b"}
    assert build(Plugin, from_flags, "p") == build(Plugin, from_file, "p")
    assert build(Plugin, from_file, "p") == Plugin(4, 0.25, True, "max", Path("a/b"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 1}, "p.cuont: no such option. Did you mean 'count'?"),
        ({"count": "many"}, "p.count: expected int, got 'many'"),
        ({"count": 2.5}, "p.count: expected int, got 2.5"),
        ({"count": True}, "p.count: expected int, got True"),
        ({"count": None}, "p.count: expected int, got None"),
        ({"count": float("inf")}, "p.count: expected int, got inf"),
        ({"count": 0}, "p.count: 0 is outside 1..9"),
        ({"share": "nan"}, "p.share: nan is outside 0..1"),
        ({"share": [1]}, r"p.share: expected float, got \[1\]"),
        ({"fast": "yes please"}, "p.fast: expected bool, got 'yes please'"),
        ({"mode": "median"}, r"p.mode: expected mean\|max, got 'median'"),
    ],
)
def test_wrong_input_is_named(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(Plugin, given, "p")
    assert caught.value.key == ("p", *given)


def test_a_default_of_none_can_be_given_as_none():
    assert build(Plugin, {"file": None}, "p").file is None


def test_values_are_plain_data():
    plain = {"count": 3, "share": 0.5, "fast": False, "mode": "mean", "file": "a", "word": "x"}
    assert values_of(Plugin(file=Path("a"))) == plain


def test_a_class_without_fields_has_no_options():
    assert options_of(object) == []


def test_a_type_that_cannot_be_a_flag_is_refused():
    @dataclass
    class Wrong:
        many: list[int] | None = option(None, "numbers")

    with pytest.raises(PluginError, match=r"Wrong\.many cannot be a flag"):
        options_of(Wrong)


def test_an_option_without_a_default_is_refused():
    @dataclass
    class Wrong:
        needed: int

    with pytest.raises(PluginError, match="needs a default"):
        options_of(Wrong)


def test_an_internal_field_is_no_option_but_can_be_replaced():
    @dataclass(frozen=True)
    class Hiding:
        count: int = option(3, "how many")
        skip: int = internal(0)

    assert [o.name for o in options_of(Hiding)] == ["count"]
    assert values_of(replace(Hiding(), skip=2)) == {"count": 3}
    assert internals_of(Hiding()) == {}
    assert internals_of(replace(Hiding(), skip=2)) == {"skip": 2}
    assert internals_of(object()) == {}
    with pytest.raises(ConfigError, match="p.skip: no such option"):
        build(Hiding, {"skip": 2}, "p")
