"""Vocabularies of proteins or characters, short contexts and few blocks are models like others."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

import prunekit
from prunekit.hf.proof import probe

LETTERS = "ACGT"


@pytest.fixture
def small_model(tmp_path):
    """`small_model(vocabulary, context, n_blocks)`: a random model of letters and other tokens."""

    def make(vocabulary=5, context=4, n_blocks=2, **more):
        words = ["?", *LETTERS, *(f"<{i}>" for i in range(5, vocabulary))][:vocabulary]
        backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="?"))
        backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            **{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, **more},
            num_attention_heads=2,
            num_hidden_layers=n_blocks,
            max_position_embeddings=context,
            vocab_size=vocabulary,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=None,
        )
        folder = tmp_path / f"small-{vocabulary}-{context}-{n_blocks}"
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?").save_pretrained(folder)
        (tmp_path / "dna.txt").write_text("ACGTTGCATTACGGATTACA" * 20)
        return folder

    return make


@pytest.mark.parametrize("family", [{}, {"model_type": "gpt2", "n_embd": 16, "n_head": 2}])
@pytest.mark.parametrize(("vocabulary", "context"), [(5, 4), (5, 64), (7, 4), (64, 3), (63, 23)])
def test_a_small_model_is_searched_and_exported(small_model, tmp_path, vocabulary, context, family):
    folder = small_model(vocabulary, context, **family)
    result = prunekit.search(
        str(folder),
        budget=1,
        workdir=tmp_path / "runs",
        ppl={"data": str(tmp_path / "dna.txt"), "length": min(context, 4), "samples": 3},
    )
    assert len(result.removed) == 1
    to = prunekit.export(str(folder), remove=result.removed, to=tmp_path / "pruned")
    assert AutoConfig.from_pretrained(to).num_hidden_layers == 1


@pytest.mark.parametrize("context", [1, 2, 3])
def test_a_context_of_a_few_tokens_is_enough_to_export(small_model, tmp_path, context):
    folder = small_model(5, context)
    assert prunekit.export(str(folder), remove=[0], to=tmp_path / "pruned").is_dir()


def test_a_model_of_one_block_can_be_evaluated_as_it_is(small_model, tmp_path):
    result = prunekit.evaluate(
        str(small_model(n_blocks=1)),
        ppl=str(tmp_path / "dna.txt"),
        workdir=tmp_path / "runs",
        ppl_length=4,
    )
    assert result.perplexities


def test_latency_of_a_small_model_is_measured(small_model, tmp_path):
    result = prunekit.latency(
        str(small_model(context=8)), remove=[1], prompt_length=4, new_tokens=2, repeats=1
    )
    assert result.removed == (1,)


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 5, 7, 14, 21, 35, 61, 63, 64, 100])
def test_a_probe_fits_its_model_and_varies(vocabulary):
    config = AutoConfig.for_model("llama", vocab_size=vocabulary, max_position_embeddings=12)
    ids = probe(24, 11, config=config).input_ids
    assert ids.shape == (2, 12)
    assert 0 <= int(ids.min()) <= int(ids.max()) < vocabulary
    assert len(set(ids[0].tolist())) == min(12, vocabulary)


def test_the_probe_of_a_usual_model_is_the_same_as_ever():
    config = AutoConfig.for_model("llama", vocab_size=2048, max_position_embeddings=128)
    assert probe(24, 11, config=config).input_ids[0].tolist() == [i * 7 % 61 + 3 for i in range(24)]
