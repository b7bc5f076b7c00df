"""Usual sizes of calibration sets, as multiples of the given one."""

from prunekit.plugins.objectives.perplexity import Perplexity


def test_the_papers_set_has_64_times_2048_tokens():
    sizes = Perplexity(samples=4, length=48).typical_sizes()
    assert sizes["the paper's 64 x 2,048 tokens"] == 64 * 2048 / (4 * 48)
    assert sizes["32 x 256 tokens"] == 32 * 256 / (4 * 48)


def test_the_default_is_that_of_the_paper():
    assert Perplexity().typical_sizes()["the paper's 64 x 2,048 tokens"] == 1
