"""Measurements in 16 bits, which depend on how samples are batched, are not mixed."""

import pytest
import torch

import prunekit
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.engine.rounding import arrangement, shapes
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.commands.evaluate.store import _way
from prunekit.plugins.objectives.margin import Margin

LIMITS = (1, 600, 8192)


def margins(adapter, samples, limit):
    meter = PrefixMeter(adapter, Margin(data="demo"), batches_of(samples, limit))
    pieces = meter.measure([[DENSE]] * len(meter.batches))
    return [x for piece in sorted(pieces, key=lambda p: p.batch) for x in piece.sums]


@pytest.fixture
def quick(tmp_path):
    return {
        "model": "demo:qwen3",
        "searcher": "one-shot",
        "objective": "margin",
        "margin": {"samples": 4},
        "workdir": tmp_path,
    }


def test_a_margin_in_float32_does_not_depend_on_the_layout_of_batches(registry, demo_tokenizer):
    adapter = load_adapter(Spec("demo:qwen3", device="cpu", dtype="float32"), registry)
    samples = Margin(data="demo", samples=8).calibration_set(demo_tokenizer)
    first, *others = (margins(adapter, samples, limit) for limit in LIMITS)
    for other in others:
        assert other == pytest.approx(first, abs=1e-5)


def test_a_margin_in_bfloat16_depends_on_it(registry, demo_tokenizer):
    adapter = load_adapter(Spec("demo:qwen3", device="cpu", dtype="bfloat16"), registry)
    samples = Margin(data="demo", samples=8).calibration_set(demo_tokenizer)
    alone, _, together = (margins(adapter, samples, limit) for limit in LIMITS)
    assert max(abs(x - y) for x, y in zip(alone, together, strict=True)) > 1e-4


def test_every_layout_in_bfloat16_has_a_journal_of_its_own(quick):
    for dtype, measured in (("float32", 0), ("bfloat16", 16)):
        given = {**quick, "dtype": dtype}
        before = prunekit.search(**given)
        assert before.work.measured == 16
        again = prunekit.search(**given, tokens_per_forward=300)
        assert again.work.measured == measured
        assert prunekit.search(**given, tokens_per_forward=300, seed=1).work.measured == 0


def test_limits_that_batch_alike_share_a_journal_in_bfloat16(quick):
    given = {**quick, "dtype": "bfloat16"}
    prunekit.search(**given)
    assert prunekit.search(**given, tokens_per_forward=8191).work.measured == 0


def test_an_evaluation_in_bfloat16_is_kept_by_its_batches(tmp_path, monkeypatch):
    import prunekit.plugins.commands.evaluate.evaluator as evaluating

    calls = []
    measure = evaluating.measure_perplexities

    def counting(*given):
        calls.append(given)
        return measure(*given)

    monkeypatch.setattr(evaluating, "measure_perplexities", counting)
    given = {"model": "demo:qwen3", "ppl": "demo", "ppl_samples": 6, "workdir": tmp_path}
    for dtype, more in (("float32", 0), ("bfloat16", 1)):
        prunekit.evaluate(**given, dtype=dtype)
        before = len(calls)
        prunekit.evaluate(**given, dtype=dtype, tokens_per_forward=8191)
        assert len(calls) == before
        prunekit.evaluate(**given, dtype=dtype, tokens_per_forward=200)
        assert len(calls) == before + more


@pytest.mark.parametrize(("dtype", "rows"), [("float32", 1), ("bfloat16", 2), ("float16", 2)])
def test_a_record_tells_batch_sizes_of_a_task_apart_in_16_bits_alone(dtype, rows):
    made = {"fingerprint": {"dtype": dtype}, "versions": {}}
    ways = {_way({"record": {"batch_size": size, "metrics": {}}, **made}) for size in (1, 8)}
    assert len(ways) == rows


def test_batches_and_threads_are_told_apart_in_16_bits_alone(demo_tokenizer, monkeypatch):
    samples = Margin(data="demo", samples=4).calibration_set(demo_tokenizer)
    layouts = [shapes(batches_of(samples, limit)) for limit in LIMITS]
    of_cpu = {"dtype": "bfloat16", "device": "cpu"}
    assert len({str(arrangement(of_cpu, layout)) for layout in layouts}) == 3
    one = arrangement(of_cpu, layouts[0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert arrangement(of_cpu, layouts[0]) != one
    on_gpu = {"dtype": "float16", "device": "cuda"}
    assert list(arrangement(on_gpu, layouts[0])) == ["layout"]
    for dtype in ("float32", "float64"):
        assert arrangement({**of_cpu, "dtype": dtype}, layouts[0]) == {}
    assert arrangement({"weights": "toy"}, layouts[0]) == {}
