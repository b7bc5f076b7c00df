"""Log-probabilities from rounded logits, beside those in float64."""

import math

import pytest
import torch

from prunekit.hf import linear_head, quick_head

WIDTH = 64


def a_head(words, spread=1.0, common=0.0, dtype=torch.bfloat16, bias=False):
    """A head whose logits have this spread at each position, about a common number."""
    torch.manual_seed(0)
    head = torch.nn.Linear(WIDTH, words, bias=bias).requires_grad_(False)
    head.weight.normal_().mul_(spread / math.sqrt(WIDTH - 1))
    head.weight[:, 0] = common
    return head.to(dtype)


def hidden(positions):
    rows = torch.randn(positions, WIDTH, generator=torch.Generator().manual_seed(1))
    rows[:, 0] = 1
    return rows.bfloat16()


def by_hand(head, rows):
    return (rows.double() @ head.weight.double().T).log_softmax(-1)


def errors(head, rows, words):
    found = quick_head.quick_logprobs(head.weight, rows, words)
    assert found.dtype is torch.float32
    assert (found <= 0).all()
    return found.double() - by_hand(head, rows).gather(1, words[:, None])[:, 0]


@pytest.mark.parametrize("spread", [0.1, 1, 3, 6, 40])
@pytest.mark.parametrize("common", [0, 20, -100])
@torch.no_grad()
def test_losses_are_nearer_to_exact_ones_than_those_of_the_model(spread, common):
    """Targets are as frequent as the model expects, so that losses are those of a good one."""
    head, rows = a_head(3000, spread, common), hidden(256)
    words = by_hand(head, rows).exp().multinomial(1)[:, 0]
    rounded = head(rows).float().log_softmax(-1).gather(1, words[:, None])[:, 0]
    expected = by_hand(head, rows).gather(1, words[:, None])[:, 0]
    found, of_model = errors(head, rows, words), rounded.double() - expected
    assert found.mean().abs() < 1.5e-4
    assert found.abs().max() < 0.01
    assert found.std() < of_model.std() / 5


@pytest.mark.parametrize("spread", [1, 5, 20])
@torch.no_grad()
def test_words_that_the_model_does_not_expect_are_as_near(spread):
    head, rows = a_head(3000, spread), hidden(256)
    found = errors(head, rows, torch.arange(256) * 11)
    assert found.mean().abs() < 3e-4
    assert found.abs().max() < 0.01


@pytest.mark.parametrize("spread", [1, 5, 20])
@torch.no_grad()
def test_the_least_likely_word_is_as_near(spread):
    head, rows = a_head(3000, spread), hidden(64)
    found = errors(head, rows, by_hand(head, rows).argmin(1))
    assert found.abs().max() < 0.02


@pytest.mark.parametrize("words", [1, 2, 7, 8])
@torch.no_grad()
def test_with_few_words_all_are_exact(words):
    head, rows = a_head(words, spread=5), hidden(50)
    assert errors(head, rows, torch.arange(50) % words).abs().max() < 2e-5


@pytest.mark.parametrize("tile", [1, 13, 13 * 9, 10**6])
@torch.no_grad()
def test_tiles_of_any_size_will_do(tile, monkeypatch):
    monkeypatch.setattr(quick_head, "TILE", tile)
    found = errors(a_head(301, spread=3), hidden(13), torch.arange(13) * 25)
    assert found.abs().max() < 0.01


@torch.no_grad()
def test_a_position_without_numbers_leaves_the_others_alone():
    head, rows, words = a_head(301), hidden(3), torch.tensor([5, 6, 7])
    before = quick_head.quick_logprobs(head.weight, rows, words)
    rows[1] = math.nan
    after = quick_head.quick_logprobs(head.weight, rows, words)
    assert after.isnan().tolist() == [False, True, False]
    assert torch.equal(after[::2], before[::2])


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_products_in_bfloat16_are_used_where_they_are_quick(able, dtype, bias, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    head = a_head(301, dtype=dtype, bias=bias)
    rows, words = hidden(5).to(dtype), torch.arange(5)
    used = []
    monkeypatch.setattr(
        linear_head, "quick_logprobs", lambda *args: used.append(args) or torch.zeros(5)
    )
    linear_head.word_logprobs(head, rows, words)
    assert bool(used) == (able and dtype is torch.bfloat16 and not bias)
