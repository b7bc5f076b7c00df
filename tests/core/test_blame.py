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
