"""What searchers may know of a model besides losses."""

import random
from dataclasses import replace

import pytest
import torch

from prunekit.core import DENSE, ConfigError, PluginError, Problem
from prunekit.core.driver import needs_of
from prunekit.core.spec import Spec
from prunekit.engine.signals import synthetic_signals
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.proof import probe
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.plugins.searchers.cbo import ConstrainedBinary
from prunekit.plugins.searchers.signals import (
    BLOCK_SIMILARITY,
    BOUNDARY_COSINE,
    GATE_GRADIENTS,
    GATE_HESSIAN,
    RELATIVE_MAGNITUDE,
    TAYLOR,
)

SIGNALS = (
    *(GATE_GRADIENTS, GATE_HESSIAN, TAYLOR),
    *(BLOCK_SIMILARITY, BOUNDARY_COSINE, RELATIVE_MAGNITUDE),
)
OBJECTIVES = {
    "ppl": Perplexity(data="demo", samples=3, length=20),
    "margin": Margin(data="demo", samples=3),
}


@pytest.fixture(params=["llama3", "llama31", "qwen3"])
def adapter(request, tiny_model, registry):
    folder = tiny_model(request.param, n_blocks=5)
    return load_adapter(Spec(str(folder), device="cpu", dtype="float32"), registry)


def meter_of(adapter, objective, tokenizer, tokens=10**6):
    return PrefixMeter(adapter, objective, batches_of(objective.calibration_set(tokenizer), tokens))


def sample_losses(adapter, meter, gates):
    """The loss of each sample with every block's sub-layers scaled."""
    (batch,) = meter.batches
    state = adapter.enter(batch)
    for index, gate in enumerate(gates):
        state = adapter.gated_block(index, state, torch.tensor([gate]))
    sums, weights = meter.objective.measure(adapter.output(state), batch)
    return sums / weights


@torch.no_grad()
def test_a_gate_at_one_changes_nothing_and_at_zero_removes_the_block(adapter):
    batch = probe(24, 11)
    state = adapter.enter(batch)
    one, zero = torch.ones(2), torch.zeros(2)
    assert torch.equal(adapter.gated_block(2, state, one).hidden, adapter.block(2, state).hidden)
    assert torch.equal(adapter.gated_block(2, state, zero).hidden, state.hidden)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gate_gradients_are_the_slopes_of_each_samples_loss(adapter, demo_tokenizer, name):
    meter = meter_of(adapter, OBJECTIVES[name], demo_tokenizer)
    found = torch.tensor(meter.signal(GATE_GRADIENTS))
    assert found.shape == (3, 5)
    step = 1e-2
    for block in range(5):
        up, down = ([1.0] * 5 for _ in range(2))
        up[block], down[block] = 1 + step, 1 - step
        with torch.no_grad():
            slope = (sample_losses(adapter, meter, up) - sample_losses(adapter, meter, down)) / (
                2 * step
            )
        assert found[:, block].tolist() == pytest.approx(slope.tolist(), rel=0.05, abs=0.02)


def test_gradients_do_not_depend_on_batches(adapter, demo_tokenizer):
    whole = meter_of(adapter, OBJECTIVES["margin"], demo_tokenizer).signal(GATE_GRADIENTS)
    parts = meter_of(adapter, OBJECTIVES["margin"], demo_tokenizer, 300).signal(GATE_GRADIENTS)
    assert torch.allclose(torch.tensor(whole), torch.tensor(parts), atol=1e-5)


def test_the_hessian_is_the_slope_of_the_gradients(adapter, demo_tokenizer):
    objective = OBJECTIVES["ppl"]
    meter = meter_of(adapter, objective, demo_tokenizer, 40)
    hessian = torch.tensor(meter.signal(GATE_HESSIAN))
    assert torch.allclose(hessian, hessian.T)
    whole = meter_of(adapter, objective, demo_tokenizer)
    step = 0.05
    with torch.no_grad():
        for a, b in ((0, 0), (1, 3)):
            corners = {}
            for x in (-1, 1):
                for y in (-1, 1):
                    gates = [1.0] * 5
                    gates[a] += x * step
                    gates[b] += y * step
                    corners[x, y] = sample_losses(adapter, whole, gates).mean().item()
            slope = (corners[1, 1] - corners[1, -1] - corners[-1, 1] + corners[-1, -1]) / (
                4 * step**2
            )
            assert hessian[a, b].item() == pytest.approx(slope, rel=0.15, abs=0.15)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_taylor_term_is_the_slope_of_the_loss(adapter, demo_tokenizer, name):
    """The gradients of samples, each by its weight: tokens or items."""
    meter = meter_of(adapter, OBJECTIVES[name], demo_tokenizer)
    (batch,) = meter.batches
    with torch.no_grad():
        state = adapter.enter(batch)
        for index in range(5):
            state = adapter.block(index, state)
        _, weights = meter.objective.measure(adapter.output(state), batch)
    of_samples = torch.tensor(meter.signal(GATE_GRADIENTS), dtype=torch.float64)
    slopes = (of_samples * weights[:, None]).sum(0) / weights.sum()
    (found,) = meter.signal(TAYLOR)
    assert found == pytest.approx(slopes.tolist(), rel=1e-3, abs=1e-5)
    (in_parts,) = meter_of(adapter, OBJECTIVES[name], demo_tokenizer, 40).signal(TAYLOR)
    assert in_parts == pytest.approx(found, rel=1e-3, abs=1e-5)


def test_similarity_is_symmetric_and_falls_with_distance(adapter, demo_tokenizer):
    meter = meter_of(adapter, Perplexity(data="demo", samples=16, length=100), demo_tokenizer, 400)
    table = torch.tensor(meter.signal(BLOCK_SIMILARITY))
    assert table.shape == (6, 6)
    assert torch.allclose(table, table.T, atol=1e-6)
    assert (table >= 0).all()
    assert all(table[a, a] >= table[a, b] for a in range(6) for b in range(6))
    assert table[0, 1] > table[0, 5]


def test_similarity_does_not_grow_with_the_calibration_set(adapter, demo_tokenizer):
    samples = Perplexity(data="demo", samples=4, length=60).calibration_set(demo_tokenizer)
    once, twice = (
        BLOCK_SIMILARITY.measure(adapter, OBJECTIVES["ppl"], batches_of(samples * n, 120))
        for n in (1, 2)
    )
    assert torch.allclose(torch.tensor(once), torch.tensor(twice), rtol=1e-4)


def test_measuring_signals_leaves_losses_as_they_were(adapter, demo_tokenizer):
    meter = meter_of(adapter, OBJECTIVES["ppl"], demo_tokenizer)
    before = list(meter.measure([[DENSE, frozenset({2})]]))
    for signal in SIGNALS:
        meter.signal(signal)
    assert list(meter.measure([[DENSE, frozenset({2})]])) == before


def test_a_searcher_gets_the_signals_it_names():
    problem = Problem(6, 2)
    exact = ConstrainedBinary(hessian="exact", first_order=1.0)
    named = replace(problem, signals=synthetic_signals(exact, 6))
    assert problem.signals == {}
    assert len(named.signals["gate_gradients"][0]) == 6
    assert len(named.signals["gate_hessian"]) == 6
    assert len(BLOCK_SIMILARITY.synthetic(6)) == 7


@pytest.mark.parametrize("needs", [("gate_gradients",), "gate_gradients", [GATE_GRADIENTS], None])
def test_needs_that_are_no_signals_are_refused(needs):
    class Wishful:
        name = "wishful"

        def search(self, problem):
            yield []

    Wishful.needs = needs
    with pytest.raises(PluginError, match="(?s)'wishful'.*must be a tuple of Signal objects, not"):
        needs_of(Wishful())


def test_made_up_signals_are_the_same_every_time():
    random.seed(5)
    for signal in SIGNALS:
        assert signal.synthetic(8) == signal.synthetic(8)


@pytest.mark.parametrize("n_blocks", [1, 2, 7])
@pytest.mark.parametrize("signal", SIGNALS, ids=lambda s: s.name)
def test_made_up_signals_have_the_size_of_real_ones(signal, n_blocks):
    table = signal.synthetic(n_blocks)
    assert (len(table), len(table[0])) == signal.shape(n_blocks, len(table))


@pytest.mark.parametrize("signal", [GATE_GRADIENTS, GATE_HESSIAN, TAYLOR], ids=lambda s: s.name)
@pytest.mark.parametrize("said", [True, False])
def test_an_objective_that_counts_has_no_gradients(
    tiny_model, registry, demo_tokenizer, signal, said
):
    class Counting(Perplexity):
        differentiable = not said

        def measure(self, output, batch):
            sums, weights = super().measure(output, batch)
            return (sums if said else (sums > 4).double()), weights

    objective = Counting(data="demo", samples=2, length=8)
    model = load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"), registry)
    with pytest.raises(
        ConfigError, match="'ppl' cannot be differentiated, which this search needs"
    ):
        meter_of(model, objective, demo_tokenizer).signal(signal)
