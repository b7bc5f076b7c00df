"""What a model writes is its own, whatever is written beside it."""

from collections import Counter

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prunekit.plugins.commands.certify.generation import GumbelNoise, Start, write

PROMPTS = [(5, 6, 7), (9,), (11, 12, 13, 14, 15, 16), (8, 8)]


@pytest.fixture(scope="module")
def model(tiny_model):
    return AutoModelForCausalLM.from_pretrained(tiny_model("llama3", n_blocks=4)).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return of_folder(tiny_model("llama3", n_blocks=4))


def of_folder(folder):
    return AutoTokenizer.from_pretrained(folder)


def test_greedy_texts_are_those_of_transformers_one_by_one(model, tokenizer):
    texts = write(model, tokenizer, [Start(ids) for ids in PROMPTS], 8, 0.7)
    for ids, text in zip(PROMPTS, texts, strict=True):
        expected = model.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)
        assert text.tokens == tuple(expected[0, len(ids) :].tolist())


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "qwen3-sliding"])
def test_families_write_the_same_together_as_alone(family, tiny_model):
    """With places that are learned, two kinds of attention, and windows shorter than a text."""
    folder = tiny_model(family, n_blocks=4)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), of_folder(folder)
    prompts = [(5, 6, 7), tuple(range(20, 34)), (11, 12, 13, 14, 15, 16)]
    together = write(model, tokenizer, [Start(ids) for ids in prompts], 12, 0.7)
    for ids, text in zip(prompts, together, strict=True):
        expected = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)
        assert text.tokens == tuple(expected[0, len(ids) :].tolist())


def test_a_sampled_text_does_not_depend_on_its_neighbours(model, tokenizer):
    starts = [Start(ids, f"seed {i}") for i, ids in enumerate(PROMPTS)]
    together = write(model, tokenizer, starts, 8, 0.7)
    alone = [write(model, tokenizer, [start], 8, 0.7)[0] for start in reversed(starts)]
    assert together == alone[::-1]
    assert together != write(model, tokenizer, [Start(ids) for ids in PROMPTS], 8, 0.7)


def test_noise_samples_the_softmax_at_that_temperature():
    logits, temperature, draws = torch.tensor([0.0, 1.0, 2.0, -1.0]), 0.5, 4000
    noise = GumbelNoise([f"seed {i}" for i in range(draws)], temperature)
    chosen = Counter(noise(None, logits.expand(draws, 4)).argmax(-1).tolist())
    wanted = torch.softmax(logits / temperature, 0)
    for word, share in enumerate(wanted.tolist()):
        error = (share * (1 - share) / draws) ** 0.5
        assert abs(chosen[word] / draws - share) < 4 * error


def test_a_text_is_cut_where_the_model_ends_it(model, tokenizer, monkeypatch):
    first = write(model, tokenizer, [Start(PROMPTS[0])], 8, 0.7)[0]
    monkeypatch.setattr(model.generation_config, "eos_token_id", first.tokens[3])
    ended = write(model, tokenizer, [Start(ids) for ids in PROMPTS[:2]], 8, 0.7)[0]
    assert first.ended is False
    assert ended.ended is True
    assert ended.tokens == first.tokens[: first.tokens.index(first.tokens[3])]


def test_the_generation_settings_of_a_model_do_not_count(model, tokenizer, monkeypatch):
    before = write(model, tokenizer, [Start(PROMPTS[0])], 8, 0.7)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 5.0)
    assert write(model, tokenizer, [Start(PROMPTS[0])], 8, 0.7) == before
