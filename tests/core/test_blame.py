"""A plugin that fails is named, and how to see its traceback is told."""

import pytest

from prunekit.core.errors import PluginError, blaming


class Sour:
    name = "sour"


@pytest.mark.parametrize(("debug", "end"), [("", "; PRUNEKIT_DEBUG=1 shows where"), ("1", "")])
def test_how_to_see_the_traceback_is_told_only_where_it_is_not_shown(monkeypatch, debug, end):
    monkeypatch.setenv("PRUNEKIT_DEBUG", debug)
    with pytest.raises(PluginError) as caught, blaming("searcher", Sour()):
        raise KeyError(3)
    assert str(caught.value) == f"searcher 'sour' ({__name__}.Sour) failed: KeyError: 3{end}"
    assert isinstance(caught.value.__cause__, KeyError)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GeneratorExit("out"), "GeneratorExit: out"),
        (BaseException("base"), "BaseException: base"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
        (Mute(), "Mute"),
    ],
)
def test_whatever_a_plugin_raises_is_blamed_on_it(error, said):
    with pytest.raises(PluginError, match=f"Sour. failed: {said};"), blaming("searcher", Sour()):
        raise error


def test_ctrl_c_is_nobodys_fault():
    with pytest.raises(KeyboardInterrupt), blaming("searcher", Sour()):
        raise KeyboardInterrupt
