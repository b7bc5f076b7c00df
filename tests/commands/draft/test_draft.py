"""The best draft of a model: what is predicted of it, what it does, and what is written."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.engine.provenance import read_provenance
from prunekit.engine.stored import fits
from prunekit.plugins.commands.draft import texts
from prunekit.plugins.commands.draft.result import DraftResult, NoDraftPays, verdict_on
from prunekit.plugins.commands.draft.texts import Text, assist


def words_after(model, ids):
    """The likeliest word after these, without a cache."""
    with torch.no_grad():
        return int(model(torch.tensor([ids])).logits[0, -1].argmax())


def rounds_by_hand(dense, draft, prompt, lookahead, most):
    """Draft and verify word by word; return the text and the rounds."""
    end, text, rounds = dense.generation_config.eos_token_id, [], 0
    while len(text) < most and text[-1:] != [end]:
        ahead = min(lookahead, most - len(text) - 1)
        proposed = []
        for _ in range(ahead):
            proposed.append(words_after(draft, prompt + text + proposed))
        rounds += 1
        for word in [*proposed, None]:
            text.append(words_after(dense, prompt + text))
            if text[-1] != word or text[-1] == end:
                break
    return text, rounds


@pytest.mark.parametrize("lookahead", [1, 3])
def test_tokens_per_forward_are_those_of_a_loop_by_hand(quick, tmp_path, lookahead):
    result = prunekit.draft(**quick, remove=[2], lookahead=str(lookahead), to=tmp_path / "draft")
    dense = AutoModelForCausalLM.from_pretrained(quick["model"])
    draft = AutoModelForCausalLM.from_pretrained(tmp_path / "draft")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "draft")
    tokens = rounds = 0
    for line in (tmp_path / "prompts.txt").read_text().splitlines():
        prompt = tokenizer(line).input_ids
        text, forwards = rounds_by_hand(dense, draft, prompt, lookahead, quick["new_tokens"])
        whole = dense.generate(
            torch.tensor([prompt]), max_new_tokens=quick["new_tokens"], do_sample=False
        )
        assert text == whole[0, len(prompt) :].tolist()
        tokens, rounds = tokens + len(text), rounds + forwards
    drafted = result.drafted
    assert drafted.measured == drafted.predicted == pytest.approx(tokens / rounds)
    assert (drafted.tokens, drafted.same, drafted.prompts) == (tokens, 3, 3)
    assert drafted.largest_gap is None


def test_every_budget_is_the_choice_of_its_search(searched):
    result = prunekit.draft(**searched)
    assert (result.searcher, result.objective) == ("greedy", "agree")
    words = ("model", "workdir", "device", "agree")
    for candidate in result.candidates:
        alone = prunekit.search(
            **{word: searched[word] for word in words},
            objective="agree",
            budget=candidate.budget,
            finalists=0,
        )
        assert candidate.removed == alone.removed
        assert candidate.on_text == pytest.approx(1 - alone.pruned.loss)
        assert alone.work.measured == 0


def test_the_best_is_the_fastest(searched, costing):
    costing(0.25)
    result = prunekit.draft(**searched, lookahead="1-4")
    rows = [(c.budget, a) for c in result.candidates for a in c.ahead]
    for _, ahead in rows:
        assert ahead.speedup == pytest.approx(ahead.predicted / (ahead.lookahead * 0.25 + 1))
    fastest = max(rows, key=lambda row: row[1].speedup)
    assert (result.best, result.winner.best) == fastest
    assert result.drafted.predicted == fastest[1].predicted


def test_nothing_is_written_if_none_pays(searched, costing, tmp_path):
    costing(1.0)
    with pytest.raises(
        NoDraftPays, match="cannot pay here: without . of 4 blocks it costs 1.00"
    ) as missed:
        prunekit.draft(**searched, to=tmp_path / "draft")
    assert not (tmp_path / "draft").exists()
    drafted = missed.value.result.drafted
    assert drafted.measured == drafted.predicted


@pytest.mark.parametrize("which", [{"budgets": "2"}, {"remove": [1]}])
def test_one_that_is_named_is_written_whether_it_pays_or_not(searched, which, costing, tmp_path):
    costing(1.0)
    if "remove" in which:
        del searched["budgets"], searched["agree"]
    result = prunekit.draft(**{**searched, **which}, to=tmp_path / "draft")
    assert not result.pays
    assert result.saved == str(tmp_path / "draft")


def test_the_checkpoint_says_what_it_is_for(searched, costing, tmp_path):
    costing(0.001)
    result = prunekit.draft(**searched, lookahead="2", to=tmp_path / "draft")
    assert result.pays
    record = read_provenance(tmp_path / "draft")
    assert record["removed"] == list(result.winner.removed)
    assert record["draft"]["measured"] == result.drafted.measured
    card = (tmp_path / "draft" / "README.md").read_text()
    assert "Chosen as a draft of that model, from what the searcher `greedy` found" in card
    assert "token for token" in card
    assert '"method": "draft_model", "model": ".", "num_speculative_tokens": 2' in card
    assert "num_assistant_tokens=2" in card
    assert "-md DRAFT.gguf --spec-draft-n-max 2" in card


def test_the_choice_of_a_run_is_tried_too(quick, tmp_path):
    found = prunekit.search(
        quick["model"],
        workdir=quick["workdir"],
        budget=2,
        ppl={"data": "demo", "samples": 2, "length": 16},
    )
    del quick["model"]
    result = prunekit.draft(**quick, run=found.run, to=tmp_path / "draft")
    assert result.winner.removed == found.removed
    record = read_provenance(tmp_path / "draft")
    assert record["search"]["removed"] == record["removed"]
    smaller = prunekit.draft(**quick, run=found.run, budget=1)
    assert smaller.best == 1


def test_the_result_is_its_json(searched):
    text = prunekit.draft(**searched).to_json()
    assert fits(json.loads(text), DraftResult)


def test_texts_that_part_at_no_tie_are_refused(quick, monkeypatch, tmp_path):
    """As a release of transformers would make them that takes a word it should not."""

    def other(model, settings, prompt, **more):
        text = texts_write(model, settings, prompt, **more)
        return Text((*text.tokens[:3], text.tokens[3] ^ 1), text.seconds) if more else text

    texts_write = texts.write
    monkeypatch.setattr(texts, "write", other)
    with pytest.raises(CheckpointError, match=r"prompt 1 of .*no tie explains it \(token 4\)"):
        prunekit.draft(**quick, remove=[2], to=tmp_path / "draft")
    assert not (tmp_path / "draft").exists()


def test_a_model_that_assisted_generation_cannot_run(quick, monkeypatch):
    def refuse(model, settings, prompt, **more):
        if more:
            raise ValueError("assisted generate is not supported\nfor stateful models")
        return texts_write(model, settings, prompt)

    texts_write = texts.write
    monkeypatch.setattr(texts, "write", refuse)
    said = "assisted generation does not run with this model: ValueError: assisted generate"
    with pytest.raises(CheckpointError, match=said) as error:
        prunekit.draft(**quick, remove=[2])
    assert "\n" not in str(error.value)


def test_the_gap_at_which_texts_part_is_that_of_their_words(quick, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(quick["model"])
    prompt = torch.tensor([[5, 6, 7]])
    settings = {"max_new_tokens": 4, "pad_token_id": 0}
    best, second = model(prompt).logits[0, -1].topk(2)[0].tolist()
    words = model(prompt).logits[0, -1].topk(2)[1].tolist()

    def either(model, settings, prompt, **more):
        return Text((words[bool(more)], 9), 1.0)

    monkeypatch.setattr(texts, "write", either)
    found = assist(model, model, settings, prompt, 2)
    assert (found.same, found.is_tie) == (0, False)
    assert found.gap == pytest.approx(best - second, rel=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lookahead": "0"}, "lookahead: expected numbers from 1"),
        ({"budgets": "4"}, "the budget is 4, but of 4 blocks .* 1 to 3 can be removed"),
        ({"budgets": ""}, "budgets: expected numbers from 1"),
        ({"objective": "ppl"}, "objective ppl: a draft is chosen .*; choose agree or accept"),
        ({"repair": "magnitude"}, "repair: drafts are compared as they are"),
        ({"budget": 2}, "budget 2: only a run has smaller choices; give --budgets 2"),
        ({"remove": [1], "searcher": "beam"}, "searcher: nothing is searched where blocks are"),
        ({"remove": [1], "budgets": "2"}, "budgets: nothing is searched where blocks are named"),
        ({"remove": [9]}, "no such block: 9"),
        ({"remove": []}, "0 of 4 blocks cannot be removed"),
        ({"new_tokens": 200}, "200 are to come; the model's context holds 128"),
        ({"new_tokens": 1}, "new_tokens: 1 is outside 2"),
        ({"prompts": "none.txt"}, "none.txt"),
        ({"shrink": "20%"}, "shrink: give budgets, as --budgets 2,4,8"),
    ],
)
def test_bad_input_costs_one_line(quick, given, said):
    with pytest.raises(ConfigError, match=said) as error:
        prunekit.draft(**{**quick, **given})
    assert "\n" not in str(error.value)


def test_prompts_without_text(quick, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n\n")
    with pytest.raises(ConfigError, match="prompts.txt") as error:
        prunekit.draft(**quick, remove=[1])
    assert "\n" not in str(error.value)


def test_a_folder_that_exists_is_not_touched(quick, tmp_path):
    with pytest.raises(ConfigError, match="exists already"):
        prunekit.draft(**quick, remove=[1], to=tmp_path)


def test_one_that_would_pay_with_a_smaller_lookahead_is_not_written_off(searched, costing):
    """It is right more often than it costs, so one token ahead would pay."""
    costing(0.05)
    result = prunekit.draft(**searched, lookahead="100")
    assert result.winner.agreement > 0.05
    assert not result.pays
    assert "Give --lookahead 1-8" in verdict_on(result)
