"""`prunekit draft` at the command line."""

import json

import pytest


@pytest.fixture
def words(quick):
    flags = ("model", "device", "prompts", "new_tokens", "repeats")
    given = [word for f in flags for word in (f"--{f.replace('_', '-')}", quick[f])]
    return ("draft", *given)


@pytest.fixture
def search_words(words):
    small = ("--agree.data", "demo", "--agree.samples", "2", "--agree.length", "16")
    return (*words, "--budgets", "1,2", *small)


def test_it_compares_in_80_columns_and_says_whether_a_draft_pays(prunekit, search_words, costing):
    costing(1.0)
    status, out, err = prunekit(*search_words)
    assert (status, err) == (0, "")
    assert "greedy on agree" in out
    for name in ("on text", "formula", "tokens", "speed-up"):
        assert name in out
    assert "a draft of this model cannot pay here: without" in out
    assert "token for token: 36 tokens after 3 prompts in float32" in out
    table = out[: out.index("a: share")].splitlines()
    assert max(map(len, table[2:])) <= 80


def test_without_one_that_pays_it_ends_with_3(prunekit, search_words, costing, tmp_path):
    costing(1.0)
    status, out, err = prunekit(*search_words, "--to", "draft")
    assert status == 3
    assert "* a draft of this model cannot pay here" in out
    assert "Nothing was written; name a draft, as --budgets" in err
    assert not (tmp_path / "draft").exists()


def test_it_prints_how_to_use_what_it_wrote(prunekit, words, tmp_path):
    status, out, _ = prunekit(*words, "--remove", "2", "--lookahead", "3", "--to", "my draft")
    assert status == 0
    assert "saved my draft" in out
    assert "draft = AutoModelForCausalLM.from_pretrained('my draft')" in out
    assert "assistant_model=draft" in out
    assert '"method": "draft_model", "model": "my draft", "num_speculative_tokens": 3' in out
    assert "llama-server -m MODEL.gguf -md DRAFT.gguf --spec-draft-n-max 3" in out
    status, out, _ = prunekit("show", "my draft")
    assert status == 0
    assert "as a draft of it with 3 ahead, it is right" in out
    assert "the blocks were chosen manually" in out


def test_as_json(prunekit, words):
    status, out, _ = prunekit(*words, "--remove", "2", "--json")
    assert status == 0
    assert json.loads(out)["drafted"]["same"] == 3


def test_a_dry_run_counts_and_measures_nothing(prunekit, search_words, tmp_path):
    status, out, _ = prunekit(*search_words, "--dry-run")
    assert status == 0
    assert "2 budgets; the largest removes 2 of 4 blocks" in out
    assert "decodes at most 236 tokens: 12 after each of 3 prompts" in out
    assert not (tmp_path / "prunekit-runs" / "drafts").exists()
    _, out, _ = prunekit(*search_words, "--dry-run", "--json")
    assert json.loads(out)["decoded"] == 3 * 3 * 12 + 2 * 2 * 2 * 16
    _, out, _ = prunekit(*search_words[:-8], "--remove", "1", "--dry-run", "--json")
    assert json.loads(out)["search"] is None
