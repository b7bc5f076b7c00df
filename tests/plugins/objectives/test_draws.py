"""How many draws of the data that come with prunekit share no sample."""

import pytest

from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity


@pytest.fixture
def tokenizer():
    from prunekit.core.registry import load
    from prunekit.core.spec import Spec
    from prunekit.hf.checkpoint import find

    return find(Spec("demo:qwen3"), load()).tokenizer()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda seed: Perplexity(data="demo", samples=40, length=8, seed=seed), 3),
        (lambda seed: Margin(data="demo", samples=100, seed=seed), 2),
    ],
)
def test_so_many_draws_share_no_sample_and_one_more_does(make, expected, tokenizer, monkeypatch):
    monkeypatch.setattr("random.Random.randint", lambda self, low, high: low)  # all begin alike
    n = make(0).disjoint_draws()
    assert n == expected
    draws = [
        {tuple(map(tuple, sample["input_ids"].tolist())) for sample in of_draw}
        for of_draw in (make(seed).calibration_set(tokenizer) for seed in range(n + 1))
    ]
    together = set().union(*draws[:n])
    assert len(together) == sum(map(len, draws[:n]))
    assert draws[n] & together


def test_of_other_data_it_is_not_known(tmp_path):
    assert Perplexity(data="c4").disjoint_draws() is None
    assert Margin(data="commonsense_170k").disjoint_draws() is None
