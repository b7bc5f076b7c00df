"""What cannot be certified is said in one line, before anything is loaded."""

import json
import shutil

import pytest

import prunekit
from prunekit.core import ConfigError, PrunekitError
from prunekit.core.errors import Remark


def refused(match, **words):
    with pytest.raises(PrunekitError, match=match) as error:
        prunekit.certify(**words)
    assert "\n" not in str(error.value)


def test_nothing_to_compare_with(quick):
    refused("nothing to certify: no blocks are missing", **{**quick, "remove": None})


def test_a_model_that_is_not_there(quick):
    refused("gone: not in the local cache", **{**quick, "remove": None, "model": "gone"})


def test_a_baseline_with_another_tokenizer(quick, tiny_model, tmp_path):
    other = shutil.copytree(quick["model"], tmp_path / "other")
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    a, b = list(words)[300:302]
    words[a], words[b] = words[b], words[a]
    path.write_text(json.dumps(tokenizer))
    words = {**quick, "remove": None, "model": str(other), "baseline": quick["model"]}
    refused("different tokenizers", **words)


def test_a_card_needs_a_checkpoint_of_prunekit(quick):
    refused("--card: only a checkpoint that prunekit wrote", **quick, card=True)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"temperature": 0}, "--temperature 0"),
        ({"samples": -1}, "samples"),
        ({"prompts": "gone.txt"}, "gone.txt"),
        ({"new_tokens": 1000}, "context holds 128"),
        ({"thresholds": "gone.yaml"}, "gone.yaml"),
        ({"remove": [9]}, "9"),
    ],
)
def test_words_that_cannot_be(quick, given, match):
    refused(match, **{**quick, **given})


def test_prompts_without_text(quick, prompts):
    prompts.write_text("\n \n")
    refused("holds text", **quick)


def test_a_context_too_short_for_exercises(quick, tiny_model):
    model = str(tiny_model("llama3", n_blocks=4, max_position_embeddings=24))
    refused("--exercises 0", **{**quick, "model": model})


def test_a_script_that_the_tokenizer_does_not_know_is_remarked_on(quick, prompts, tmp_path):
    known = tmp_path / "words"
    shutil.copytree(quick["model"], known)
    _only_words(known)
    prompts.write_text("king\nцарь царь царь\n")
    with pytest.warns(Remark, match="prompt 2: 100% of its tokens are unknown"):
        prunekit.certify(**{**quick, "model": str(known), "exercises": 0})


def _only_words(folder):
    """Give a model a tokenizer of two words, which has a token for all others."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"[UNK]": 0, "king": 1}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]").save_pretrained(folder)


def test_certificates_that_were_changed_are_refused(quick, tmp_path):
    pruned = prunekit.export(quick["model"], remove=[1, 2], to=tmp_path / "pruned")
    path = pruned / "prunekit.json"
    record = json.loads(path.read_text())
    judged = dict.fromkeys(("name", "says", "unit"), "x") | {"n": 1, "verdict": "fine"}
    judged |= {"dense": 1.0, "pruned": 1.0, "low": 0.0, "high": 0.0}
    record["certificate"] = {"beside": "x", "capabilities": [judged], "writing": {}, "versions": {}}
    path.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="a verdict cannot be 'fine'"):
        prunekit.show(pruned)
