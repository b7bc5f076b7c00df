"""A repaired model runs at the cuts, folded into weights, and read back: always the same."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from prunekit.core import Cut, Patch, UnfitModel
from prunekit.core.batch import IGNORE
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.hf import PrefixMeter, load_adapter, probe, token_weights
from prunekit.hf.fitting import FittedPatches
from prunekit.hf.fold_proof import prove_folds
from prunekit.hf.refit import Losses, refit, with_patches
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.roundtrip import sharing
from prunekit.hf.streams import Streams, cuts_of, distance, patched
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.plugins.repairs.least_squares import RIDGES, LeastSquares
from prunekit.plugins.repairs.magnitude import Magnitude

FAMILIES = ("llama3", "llama31", "qwen3")
SUBSETS = [
    {7},  # one cut
    {4, 5, 6},  # one long cut
    {2, 5, 6, 11},  # several
    {0, 1, 6},  # the first blocks, whose cut stays bare
    {9, 14, 15},  # the last ones
    set(range(1, 16)),  # all but one
]


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request):
    return load_adapter(Spec(f"demo:{request.param}", dtype="float32"))


@pytest.fixture(scope="module")
def qwen():
    return load_adapter(Spec("demo:qwen3", dtype="float32"))


def text(rows, seed=0):
    """Rows of tokens that nobody wrote; the last are to be predicted too."""
    ids = torch.randint(3, 60, (rows, 32), generator=torch.Generator().manual_seed(seed))
    batch = probe(*[32] * rows)
    targets = torch.cat([ids[:, 1:], torch.full((rows, 1), IGNORE)], 1)
    return replace(batch, input_ids=ids, targets=targets)


def fitted(plain, repair):
    return FittedPatches(repair, plain, [text(12)], [text(4, seed=1)])


def repaired(plain, repair):
    return RepairedAdapter(plain, fitted(plain, repair), repair.name)


def folded(adapter, removed):
    with adapter.bypassing(DENSE) as dense:
        return sharing(adapter, dense).without(frozenset(removed))


def loss_of(model, batch):
    logits = model(input_ids=batch.input_ids, use_cache=False).logits
    return float(cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE))


def losses(adapter, subsets, batch):
    meter = PrefixMeter(adapter, Perplexity(), [batch])
    pieces = {p.subset: p for p in meter.measure([list(map(frozenset, subsets))])}
    found = [pieces[frozenset(subset)] for subset in subsets]
    return [math.fsum(p.sums) / math.fsum(p.weights) for p in found]


@pytest.mark.parametrize("repair", [LeastSquares(), Magnitude()], ids=lambda r: r.name)
def test_a_walk_has_the_losses_of_the_folded_models(plain, repair):
    adapter, batch = repaired(plain, repair), text(3, seed=2)
    walked = losses(adapter, SUBSETS, batch)
    with torch.no_grad():
        assert walked == pytest.approx(
            [loss_of(folded(adapter, subset), batch) for subset in SUBSETS], abs=1e-5
        )
    bare = losses(plain, SUBSETS, batch)
    patched_within = SUBSETS[:-1]  # before the final norm a scale is nothing
    assert all(abs(a - b) > 1e-4 for a, b, _ in zip(walked, bare, patched_within, strict=False))


@pytest.mark.parametrize("repair", [LeastSquares(), Magnitude()], ids=lambda r: r.name)
def test_the_models_own_forward_is_repaired_alike(plain, repair):
    adapter, batch = repaired(plain, repair), text(2, seed=2)
    for subset in map(frozenset, SUBSETS):
        with torch.no_grad():
            own = adapter.reference(batch, subset)
            assert torch.allclose(folded(adapter, subset)(batch.input_ids).logits, own, atol=2e-4)


def test_the_dense_model_is_untouched(plain):
    adapter, batch = repaired(plain, LeastSquares()), text(2)
    before = {name: p.clone() for name, p in plain.model.named_parameters()}
    folded(adapter, {3, 4})
    assert losses(adapter, [DENSE], batch) == losses(plain, [DENSE], batch)
    assert all(torch.equal(before[name], p) for name, p in plain.model.named_parameters())


def test_a_repair_adds_no_parameter_and_keeps_ties(qwen):
    for repair in (LeastSquares(), Magnitude()):
        bare, mended = folded(qwen, {5, 9}), folded(repaired(qwen, repair), {5, 9})
        assert mended.num_parameters() == bare.num_parameters()
        tied = mended.get_output_embeddings().weight is mended.get_input_embeddings().weight
        assert tied == bool(qwen.model.config.tie_word_embeddings)


def test_both_parts_of_a_patch_fold_together(qwen):
    width = qwen.model.config.hidden_size
    matrix = torch.randn(width, width, generator=torch.Generator().manual_seed(0)) / width
    adapter = RepairedAdapter(qwen, lambda i, j: Patch(1.3, matrix), "both")
    batch, subsets = text(2), [{3}, {3, 7, 8}, {2, 15}]
    with torch.no_grad():
        assert losses(adapter, subsets, batch) == pytest.approx(
            [loss_of(folded(adapter, subset), batch) for subset in subsets], abs=1e-5
        )


def test_least_squares_solves_the_weighted_problem_with_a_ridge(qwen):
    """Against `lstsq` on the whole system, in which a ridge is further rows."""
    cut = Streams.of(qwen, [text(12)]).cut(4, 7)
    roots = token_weights(cut).sqrt()[:, None]
    rows, wanted = cut.fed * roots, (cut.after - cut.before) * roots
    width = rows.shape[1]
    *ridged, none = LeastSquares().patches(cut)
    assert not none.changes
    for ridge, patch in zip(RIDGES, ridged, strict=True):
        strength = ridge * rows.square().sum() / width
        system = torch.cat([rows, torch.eye(width, dtype=rows.dtype) * strength.sqrt()])
        target = torch.cat([wanted, torch.zeros(width, width, dtype=rows.dtype)])
        expected = torch.linalg.lstsq(system, target).solution
        assert torch.allclose(patch.matrix.double(), expected, rtol=1e-4, atol=1e-5)


def test_streams_are_those_of_the_model(qwen):
    batch = text(2)
    streams = Streams.of(qwen, [batch])
    with torch.no_grad():
        hidden = qwen.model.model(batch.input_ids, output_hidden_states=True).hidden_states
    for index in range(16):  # the last of transformers' is normed
        assert torch.allclose(streams.entering[index], hidden[index].flatten(0, 1), atol=1e-5)


def test_huge_tokens_weigh_as_much_as_all_others():
    after = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    after[[0, 20]] *= 1000
    weights = token_weights(Cut(after, after, after)) * after.double().square().mean(-1)
    assert float(weights[[0, 20]].sum()) == pytest.approx(38)
    assert float(weights.sum()) == pytest.approx(2 * 38)


def test_cuts_are_runs_of_removed_blocks():
    assert cuts_of(frozenset({0, 1, 4, 6, 7}), 8) == [(0, 2), (4, 5), (6, 8)]
    assert cuts_of(DENSE, 8) == []


def test_the_strength_is_chosen_on_other_tokens(qwen):
    patches = fitted(qwen, LeastSquares())
    fit, check = (streams.cut(4, 7) for streams in patches.streams)
    gaps = {distance(check, patch) for patch in patches.candidates(fit)}
    assert distance(check, patches(4, 7)) == min(gaps)
    assert patches(4, 7) is patches(4, 7)


def test_a_refit_is_never_worse_than_the_search_on_checked_tokens(qwen):
    for repair in (LeastSquares(), Magnitude()):
        patches = fitted(qwen, repair)
        for subset in ({3, 7, 8}, {0, 5}, {14, 15}):
            removed = frozenset(subset)
            found = refit(patches, removed)
            places = [(i, j) for i, j in cuts_of(removed, 16) if i]
            assert list(found.patches) == places
            assert found.refitted <= min(found.searched, found.bare) + 1e-9
            measured = Losses(patches, removed)
            assert found.refitted == measured.of(found.patches)
            assert found.searched == measured.of({place: patches(*place) for place in places})
            (bare,) = losses(qwen, [removed], patches.checked[0])
            assert found.bare == pytest.approx(bare, abs=1e-5)


def test_later_patches_are_fitted_on_the_repaired_stream(qwen):
    """The oracle: the first patch folded into a real model, whose hidden states are read."""
    seen = []

    class Spy(Magnitude):
        def patches(self, cut):
            seen.append(cut)
            yield from super().patches(cut)

    patches = fitted(qwen, Spy())
    for place in ((3, 4), (9, 11)):
        patches(*place)
    first, removed = patches(3, 4), frozenset({3, 9, 10})
    seen.clear()
    chosen = refit(patches, removed).patches
    half = folded(with_patches(qwen, {(3, 4): chosen[3, 4]}), {3})
    with torch.no_grad():
        hidden = half.model(patches.fitted[0].input_ids, output_hidden_states=True).hidden_states
    scale = chosen[3, 4].scale  # folded, the stream after the cut is smaller by it
    assert torch.allclose(seen[-1].before, hidden[8].flatten(0, 1) * scale, rtol=1e-3, atol=1e-3)
    assert torch.equal(seen[-1].after, patches.streams[0].entering[11])
    assert first.changes


def test_patches_are_applied_as_they_say():
    hidden, fed, matrix = torch.ones(2, 3), torch.eye(2, 3), torch.arange(9.0).view(3, 3)
    assert torch.equal(patched(Patch(), hidden, fed), hidden)
    assert torch.equal(patched(Patch(2.0, matrix), hidden, fed), 2 * hidden + fed @ matrix)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_families_that_cannot_hold_a_patch_are_refused(tiny_model, family):
    adapter = load_adapter(Spec(str(tiny_model(family)), dtype="float32"))
    reason = "does not write into the residual stream|cannot be folded into its weights"
    with pytest.raises(UnfitModel, match=reason):
        prove_folds(adapter)


def test_an_adapter_of_another_kind_is_refused(qwen):
    with pytest.raises(UnfitModel, match="is not derived from DecoderAdapter"):
        RepairedAdapter(repaired(qwen, Magnitude()), partial(Patch), "twice")
