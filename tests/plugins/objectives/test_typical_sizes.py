"""Usual sizes of calibration sets, as multiples of the given one."""

from prunekit.plugins.objectives.choice import Choice
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity


def test_the_papers_set_has_64_times_2048_tokens():
    sizes = Perplexity(samples=4, length=48).typical_sizes()
    assert sizes["the paper's 64 x 2,048 tokens"] == 64 * 2048 / (4 * 48)
    assert sizes["32 x 256 tokens"] == 32 * 256 / (4 * 48)


def test_the_default_is_that_of_the_paper():
    assert Perplexity().typical_sizes()["the paper's 64 x 2,048 tokens"] == 1


def test_items_are_counted_by_questions():
    assert Margin(samples=16).typical_sizes() == {"the paper's 128 items": 8, "32 items": 2}
    assert Choice().typical_sizes()["the paper's 128 items"] == 1
