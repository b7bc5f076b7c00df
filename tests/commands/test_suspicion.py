"""A search whose pruned model beats the dense one says so."""

import pytest

import prunekit
from prunekit.core.errors import Remark
from prunekit.engine.suspicion import suspicion
from prunekit.plugins.objectives.divergence import Divergence


@pytest.fixture
def quick(quick):
    given = {k: v for k, v in quick.items() if k != "ppl"}
    return {**given, "kl": quick["ppl"], "objective": "kl", "searcher": "one-shot"}


def test_a_model_that_beats_the_dense_one_is_remarked_upon(quick, monkeypatch):
    """Under minus the divergence from the dense model, any other model is better."""
    measure = Divergence.measure

    def turned(self, output, batch):
        sums, weights = measure(self, output, batch)
        return -sums, weights

    monkeypatch.setattr(Divergence, "measure", turned)
    with pytest.warns(Remark) as remarks:
        result = prunekit.search(**quick)
    (said,) = {str(remark.message) for remark in remarks}
    assert said == suspicion(result.difference, "nats per token", "kl")
    assert f"beats the dense one by {-result.difference.value:.2g} ±" in said


def test_a_model_that_is_worse_than_the_dense_one_is_not(quick, recwarn):
    prunekit.search(**quick)
    assert not [w for w in recwarn if issubclass(w.category, Remark)]
