"""Log-probabilities of targets without rows of logits."""

import math
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from prunekit.core import IGNORE
from prunekit.core.spec import Spec
from prunekit.hf import linear_head, probe, quick_head
from prunekit.hf.head import Predictions
from prunekit.hf.loading import load_adapter

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


class Sizes(TorchDispatchMode):
    """Collects the number of entries of every floating-point result."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            self.largest = max(self.largest, found.numel())
        return found


def a_head(dtype, words=301, width=24, bias=False):
    torch.manual_seed(0)
    head = torch.nn.Linear(width, words, bias=bias).requires_grad_(False)
    head.weight.normal_()
    return head.to(dtype)


@pytest.fixture
def no_quick_products(monkeypatch):
    monkeypatch.setattr(linear_head, "has_quick_products", lambda _: False)


def by_hand(head, rows, words):
    logits = rows.double() @ head.weight.double().T
    if head.bias is not None:
        logits += head.bias.double()
    return logits.log_softmax(-1).gather(-1, words[:, None])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tile", [24, 24 * 7, 10**6])
@pytest.mark.usefixtures("no_quick_products")
@torch.no_grad()
def test_tiles_give_the_log_probabilities_of_whole_rows(dtype, bias, tile, monkeypatch):
    monkeypatch.setattr(linear_head, "TILE", tile)
    head = a_head(dtype, bias=bias)
    rows, words = torch.randn(13, 24).to(dtype), torch.arange(13) * 25
    found = linear_head.word_logprobs(head, rows, words)
    assert found.dtype is torch.float32
    assert torch.allclose(found.double(), by_hand(head, rows, words), rtol=0, atol=2e-5)
    assert (found <= 0).all()


@torch.no_grad()
def test_words_that_cannot_occur_are_left_out_and_nan_stays_nan(monkeypatch):
    monkeypatch.setattr(linear_head, "TILE", 24)
    head = a_head(torch.float32, bias=True)
    head.bias[1:] = -math.inf
    rows = torch.randn(2, 24)
    assert linear_head.word_logprobs(head, rows, torch.tensor([0, 0])).tolist() == [[0], [0]]
    rows[1] = math.nan
    found = linear_head.word_logprobs(head, rows, torch.tensor([7, 0]))
    assert found[0] == -math.inf
    assert found[1].isnan()


@pytest.mark.usefixtures("no_quick_products")
@torch.no_grad()
def test_torch_computes_as_before_afterwards():
    for setting in ("highest", "medium"):
        torch.set_float32_matmul_precision(setting)
        for dtype in DTYPES:
            rows = torch.randn(2, 24).to(dtype)
            linear_head.word_logprobs(a_head(dtype), rows, torch.tensor([1, 2]))
            assert torch.get_float32_matmul_precision() == setting
    torch.set_float32_matmul_precision("highest")


class Model(torch.nn.Module):
    """A head, and what a model may do with its logits."""

    def __init__(self, head, after):
        super().__init__()
        self.head, self.after = head, after

    def get_output_embeddings(self):
        return self.head

    def forward(self):
        return self.after(self.head(torch.ones(3, 1, 24, dtype=torch.bfloat16)))[:, 0]


def masked(logits):
    logits[..., 5] = -math.inf
    return logits


@pytest.mark.parametrize(
    ("after", "last"),
    [
        (lambda logits: logits, True),
        (lambda logits: logits.float(), True),
        (lambda logits: 30 * (logits / 30).tanh(), False),
        (lambda logits: logits * 1.0, False),
        (lambda logits: logits.clamp(-50, 50), False),
        (lambda logits: logits[..., :300], False),
        (lambda logits: logits.mul_(2), False),
        (masked, False),
    ],
)
@torch.no_grad()
def test_whatever_a_model_does_with_its_logits_is_noticed(after, last):
    model = Model(a_head(torch.bfloat16), after)
    assert linear_head.ends_with_head(model, model) is last


class Scaled(torch.nn.Linear):
    def forward(self, rows):
        return 2 * super().forward(rows)


@torch.no_grad()
def test_only_a_plain_linear_layer_counts():
    head = Scaled(24, 301).bfloat16()
    model = Model(head, lambda logits: logits)
    assert not linear_head.ends_with_head(model, model)


@pytest.fixture(params=["llama3", "gpt2", "gemma2"])
def adapter(request, tiny_model, registry):
    more = {"final_logit_softcapping": 3.0} if request.param == "gemma2" else {}
    model = str(tiny_model(request.param, n_blocks=2, **more))
    return load_adapter(Spec(model, device="cpu", dtype="bfloat16"), registry)


@pytest.mark.parametrize(("quick", "gap"), [(False, 3e-5), (True, 1e-3)])
@torch.no_grad()
def test_log_probabilities_are_those_of_the_logits(adapter, quick, gap, monkeypatch):
    monkeypatch.setattr(linear_head, "has_quick_products", lambda _: quick)
    batch = probe(24, 11)
    targets = torch.where(batch.attention_mask.bool(), batch.input_ids.roll(-1, 1), IGNORE)
    output = adapter.output(adapter.enter(batch))
    logits = torch.cat(list(output.logits(targets != IGNORE)))
    chosen = targets[targets != IGNORE][:, None]
    expected = logits.double().log_softmax(-1).gather(-1, chosen)[:, 0]
    found = output.token_logprobs(targets)
    assert torch.allclose(found[targets != IGNORE].double(), expected, rtol=0, atol=gap)
    assert (found[targets == IGNORE] == 0).all()
    capped = adapter.model.config.get_text_config().to_dict().get("final_logit_softcapping")
    assert (output.of_words is None) == bool(capped)


@pytest.mark.parametrize(
    ("quick", "gap", "largest"),
    [(False, 2e-5, 4096), (True, 0.02, 4096 * 8)],  # the likeliest words of all tiles
)
@torch.no_grad()
def test_no_tensor_is_as_large_as_the_rows_of_logits(quick, gap, largest, monkeypatch):
    monkeypatch.setattr(linear_head, "has_quick_products", lambda _: quick)
    for module in (linear_head, quick_head):
        monkeypatch.setattr(module, "TILE", 4096)
    head = a_head(torch.bfloat16, words=2000)
    hidden, targets = torch.randn(1, 90, 24).bfloat16(), torch.arange(90)[None]
    rows = partial(linear_head._logits, head)

    def tiles(places, words):
        return linear_head.word_logprobs(head, places, words)[:, 0]

    with Sizes() as whole:
        Predictions(hidden, rows, 2000).token_logprobs(targets)
    with Sizes() as sizes:
        found = Predictions(hidden, rows, 2000, tiles).token_logprobs(targets)
    expected = by_hand(head, hidden[0], targets[0])[:, 0]
    assert torch.allclose(found[0].double(), expected, rtol=0, atol=gap)
    assert whole.largest == 90 * 2000
    assert sizes.largest <= largest


def test_rows_are_used_where_derivatives_are_needed():
    head = a_head(torch.bfloat16)
    hidden = torch.randn(1, 5, 24).bfloat16().requires_grad_()
    output = Predictions(hidden, partial(linear_head._logits, head), 301)
    both = Predictions(hidden, output.head, 301, lambda *_: pytest.fail("has no derivative"))
    targets = torch.arange(5)[None]
    assert both.token_logprobs(targets).requires_grad
    assert torch.equal(both.token_logprobs(targets), output.token_logprobs(targets))
