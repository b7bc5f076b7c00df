"""A certificate: of a model beside itself, of a broken one, and after a stop."""

import json
import shutil

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Interrupted
from prunekit.plugins.commands.certify import works
from prunekit.plugins.commands.certify.certificate import NotCertified


def verdicts(certificate):
    return {each.name: each.verdict for each in certificate.capabilities}


def test_a_model_beside_itself_loses_nothing(quick, tmp_path):
    """In another batch size, which rounds differently."""
    copied = shutil.copytree(quick["model"], tmp_path / "copy")
    words = {**quick, "remove": None, "dtype": "bfloat16", "prompts": "demo", "exercises": 20}
    found = prunekit.certify(**{**words, "model": str(copied), "baseline": quick["model"]})
    assert {"hurt", "lost"}.isdisjoint(verdicts(found).values())
    kept = ("greedy text", "sampled text", "variety", "language", "answering")
    assert {verdicts(found)[name] for name in kept} == {"kept"}


def test_a_model_whose_last_block_is_noise_has_lost_it(quick, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    from prunekit.plugins.models.qwen3 import Qwen3

    dense, noisy = (shutil.copytree(Qwen3.demo, tmp_path / name) for name in ("dense", "noisy"))
    model = AutoModelForCausalLM.from_pretrained(noisy)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.model.layers[-1].parameters():
            weight.normal_(0, 2)
    model.save_pretrained(noisy)
    words = {**quick, "remove": None, "prompts": "demo", "exercises": 0, "samples": 0}
    words |= {"model": str(noisy), "baseline": str(dense), "new_tokens": 8}
    found = verdicts(prunekit.certify(**words))
    assert {found[name] for name in ("agreement", "language")} == {"lost"}


def test_what_was_written_before_a_stop_is_not_written_again(quick, monkeypatch):
    whole = prunekit.certify(**quick)
    shutil.rmtree(quick["workdir"] / "certificates")
    calls = []
    write = works.write

    def stopping(*given):
        calls.append(given)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(works, "write", stopping)
    with pytest.raises(Interrupted, match="run the same command again"):
        prunekit.certify(**quick)
    assert prunekit.certify(**quick) == whole
    # 4 greedy and 4 sampled texts and 3 times 2 exercises, at most 3 at once, by two models
    assert len(calls) - 1 == 2 * (2 + 2 + 3)
    assert prunekit.certify(**quick) == whole
    assert len(calls) - 1 == 2 * (2 + 2 + 3)


def test_dense_texts_count_for_other_choices_too(quick, monkeypatch):
    prunekit.certify(**quick)
    calls = []
    write = works.write
    monkeypatch.setattr(works, "write", lambda *given: calls.append(given) or write(*given))
    prunekit.certify(**{**quick, "remove": [1]})
    assert len(calls) == 7


def test_a_damaged_text_is_named(quick):
    prunekit.certify(**quick)
    (path, *_) = sorted((quick["workdir"] / "certificates" / "texts").rglob("*.json"))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ConfigError, match="certify again") as error:
        prunekit.certify(**quick)
    assert str(path) in str(error.value)


def test_agreement_is_with_the_dense_text_token_by_token(quick):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = prunekit.certify(**quick, plain_prompts=True)
    dense = AutoModelForCausalLM.from_pretrained(quick["model"], dtype=torch.float32)
    pruned = AutoModelForCausalLM.from_pretrained(quick["model"], dtype=torch.float32)
    layers = pruned.model.layers
    pruned.model.layers = torch.nn.ModuleList([layers[0], layers[3]])
    tokenizer = AutoTokenizer.from_pretrained(quick["model"])
    shares = []
    for text in found.texts:
        ids = tokenizer(text.prompt, return_tensors="pt").input_ids
        whole = dense.generate(ids, max_new_tokens=6, do_sample=False)
        new = range(ids.shape[1], whole.shape[1])
        same = [
            pruned(whole[:, :i], use_cache=False).logits[0, -1].argmax() == whole[0, i] for i in new
        ]
        shares.append(sum(map(float, same)) / len(same))
    (agreement,) = (each for each in found.capabilities if each.name == "agreement")
    assert agreement.pruned == pytest.approx(sum(shares) / len(shares))


def test_the_files_of_a_certificate(quick, prompts):
    prompts.write_text("<script>alert(1)</script>\nWhy\n")
    found = prunekit.certify(**quick)
    folder = quick["workdir"] / "certificates"
    (page,) = folder.rglob("certificate.html")
    (record,) = folder.rglob("certificate.json")
    assert json.loads(record.read_text())["texts"][1]["prompt"] == "Why"
    text = page.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert all(each.name in text for each in found.capabilities)


def test_thresholds_are_a_gate(quick, tmp_path, prunekit):
    path = tmp_path / "thresholds.yaml"
    path.write_text("agreement: {require: kept}\n")
    words = ["--model", quick["model"], "--remove", "1,2", "--prompts", quick["prompts"]]
    words += ["--new-tokens", 6, "--samples", 0, "--exercises", 0, "--device", "cpu"]
    status, out, err = prunekit("certify", *words, "--thresholds", path)
    assert status == 3
    assert "agreement" in out
    assert "not certified: agreement is " in err
    assert "required at worst: kept" in err
    status, out, _ = prunekit("certify", *words, "--json")
    assert status == 0
    assert json.loads(out)["removed"] == [1, 2]


def test_not_certified_holds_the_certificate(quick, tmp_path):
    path = tmp_path / "thresholds.yaml"
    path.write_text("agreement: {require: kept}\n")
    with pytest.raises(NotCertified) as error:
        prunekit.certify(**quick, thresholds=path)
    assert error.value.certificate.failed
