"""Signals that were kept beside a journal are checked like new ones."""

import json

import pytest

import prunekit
import prunekit.core
from prunekit.core import ConfigError

CBO = {"searcher": "cbo", "cbo": {"hessian": "exact", "first_order": 1.0}}
FISHER = {"searcher": "cbo", "cbo": {"hessian": "fisher"}}


def changed(table, value):
    return [[value, *table[0][1:]], *table[1:]]


@pytest.mark.parametrize(
    ("given", "name", "wanted"),
    [(CBO, "gate_hessian", "8 rows of 8"), (FISHER, "gate_gradients", "4 rows of 8")],
)
def test_a_stored_signal_that_no_model_gives_is_named_and_not_used(quick, given, name, wanted):
    result = prunekit.search(**quick, **given)
    (path,) = quick["workdir"].glob(f"journals/*/{name}.json")
    whole = path.read_text()
    table = json.loads(whole)
    shape = f"the signal '{name}' must be {wanted} numbers"
    faults = {
        shape: [
            *(table[1:], [row[1:] for row in table], {"table": table}, [], [1.0]),
            *(changed(table, value) for value in (True, "1", None, [1.0])),
        ],
    }
    path.write_text(whole.replace(str(table[0][0]), str(10**400), 1))
    with pytest.raises(ConfigError, match=rf"{name}.json: {name}.0.0 cannot be 1000.*; remove it"):
        prunekit.search(**quick, **given)
    for number in ("1e999", "-1e999"):
        path.write_text(whole.replace(str(table[0][0]), number, 1))
        with pytest.raises(ConfigError, match=f"json is not JSON .{number} is too large.; remove"):
            prunekit.search(**quick, **given)
    path.write_text(json.dumps(changed(table, -(10**30))))
    assert prunekit.search(**quick, **given).removed
    for message, tables in faults.items():
        for broken in tables:
            path.write_text(broken if isinstance(broken, str) else json.dumps(broken))
            with pytest.raises(ConfigError) as caught:
                prunekit.search(**quick, **given)
            assert str(caught.value) == f"{path}: {message}; remove it and search again"
    path.unlink()
    assert prunekit.search(**quick, **given).removed == result.removed
    assert json.loads(path.read_text())[0] == pytest.approx(table[0], rel=1e-3)


def test_a_signal_of_another_shape_is_the_fault_of_its_backend(quick, monkeypatch):
    from prunekit.hf.prefix import PrefixMeter

    monkeypatch.setattr(PrefixMeter, "signal", lambda self, name: ((1.0,),))
    with pytest.raises(prunekit.core.PluginError, match="backend 'local' .* must be 8 rows of 8"):
        prunekit.search(**quick, **CBO)
    assert not list(quick["workdir"].glob("journals/*/*.json"))
