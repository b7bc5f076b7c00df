"""Whether a search can end in a checkpoint is known before it begins."""

import json
import warnings
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core import CheckpointError, ConfigError, UnfitModel
from prunekit.core.errors import Remark
from prunekit.engine import exportable
from prunekit.engine.config import parse
from prunekit.engine.plan import resolve
from prunekit.hf.decoder import DecoderAdapter

QUICK = {"searcher": "one-shot", "budget": 2, "ppl": {"data": "demo", "samples": 2, "length": 24}}


@pytest.fixture
def plan_of(registry):
    """The plan of a quick search of a folder."""

    def make(folder, **given):
        return resolve(parse({**QUICK, "model": str(folder), **given}, registry), registry)

    return make


@pytest.fixture
def unread(monkeypatch):
    """Any weight that is read ends the test."""

    def read(*given):
        raise AssertionError("weights are read")

    monkeypatch.setattr(DecoderAdapter, "load", read)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("diffllama", "only 4,5 can be written as a checkpoint: block 2 would .*lambda_init"),
        ("gemma3n_text", "no checkpoint can be written: .*embed_tokens_per_layer"),
        ("gpt2, scaled by depth", "only 4,5 .*`scale_attn_by_inverse_layer_idx` cannot say"),
        ("beam", "only 4,5 can be .*attn_residual_add_idx"),
    ],
)
def test_a_search_that_cannot_end_in_a_checkpoint_is_refused_before_a_weight_is_read(
    family, reason, family_model, unread, tmp_path
):
    folder, _ = family_model(family)
    with pytest.raises(CheckpointError, match=f"2 of 6 blocks: .*{reason}.*drop --save"):
        prunekit.search(str(folder), save=tmp_path / "to", workdir=tmp_path / "work", **QUICK)
    assert not (tmp_path / "work").exists()


def test_a_search_is_narrowed_to_blocks_whose_removal_can_be_written(family_model, tmp_path):
    folder, _ = family_model("zamba2, hybrid blocks too")
    given = {**QUICK, "save": tmp_path / "pruned", "workdir": tmp_path / "work"}
    with pytest.warns(UserWarning, match="^blocks 2,5 must stay, or .*num_fwd_mem_blocks"):
        result = prunekit.search(str(folder), **given)
    assert not {2, 5} & set(result.removed)
    assert AutoModelForCausalLM.from_pretrained(given["save"]).config.num_hidden_layers == 4
    config = yaml.safe_load(Path(result.run, "config.yaml").read_text())
    assert config["protect"] == "2,5"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*kinds of (its )?blocks", Remark)  # of another matter
        warnings.filterwarnings("ignore", "the pruned model beats", Remark)
        assert prunekit.search(**config, workdir=given["workdir"]) == result
        prunekit.search(**config, save=tmp_path / "again", workdir=given["workdir"])


@pytest.mark.parametrize(
    ("family", "block", "reason"),
    [
        (
            "kimi_linear",
            4,
            "no block is left that counts the tokens in a cache",
        ),  # the only one that attends
        ("gpt_neox_japanese", 5, "its `attention.use_bias` is False, and would be True"),
    ],
)
def test_the_only_block_of_its_kind_stays(family, block, reason, family_model, plan_of):
    plan = exportable.fit_to_checkpoint(plan_of(family_model(family)[0]))
    assert plan.problem.protected == {block}
    assert f"block {block} must stay, or no checkpoint can be written: " in plan.remark
    assert reason in plan.remark


def test_what_was_protected_before_stays_protected(family_model, plan_of):
    folder, _ = family_model("zamba2, hybrid blocks too")
    plan = exportable.fit_to_checkpoint(plan_of(folder, protect="0", protect_last=1))
    assert plan.config.settings.protect == "0,2"
    assert plan.problem.removable == (1, 3, 4)


def test_too_few_blocks_for_the_budget_are_a_refusal(family_model, plan_of):
    folder, _ = family_model("zamba2, hybrid blocks too")
    with pytest.raises(CheckpointError, match="5 of 6 blocks: no checkpoint can be written: "):
        exportable.fit_to_checkpoint(plan_of(folder, budget=5))


def test_a_cadence_leaves_the_blocks_that_do_not_break_it(family_model, plan_of):
    folder, _ = family_model("jamba, out of step")
    plan = exportable.fit_to_checkpoint(plan_of(folder))
    assert plan.problem.removable == (0, 2, 5)
    assert "`attn_layer_period` cannot say which blocks stay" in plan.remark


@pytest.mark.parametrize("family", ["llama", "gemma3", "nemotron_h"])
def test_of_a_model_without_such_limits_nothing_is_said(family, family_model, plan_of):
    plan = plan_of(family_model(family)[0])
    assert exportable.fit_to_checkpoint(plan) is plan


def test_a_model_that_does_not_generate_is_not_searched_with_save(
    tiny_model, monkeypatch, tmp_path
):
    from transformers.models.llama.modeling_llama import LlamaForCausalLM

    honest = LlamaForCausalLM.forward

    def forgetful(self, *args, **kwargs):
        """A cache that is not read."""
        out = honest(self, *args, **{**kwargs, "past_key_values": None})
        return out

    monkeypatch.setattr(LlamaForCausalLM, "forward", forgetful)
    given = {**QUICK, "workdir": tmp_path / "work"}
    with pytest.raises(CheckpointError, match="with all its blocks, does not generate as it"):
        prunekit.search(str(tiny_model()), save=tmp_path / "pruned", **given)
    assert not list((tmp_path / "work").rglob("*.jsonl"))
    assert prunekit.search(str(tiny_model()), **given).removed


def test_a_dry_run_says_it_and_a_search_without_save_goes_on(family_model, prunekit, tmp_path):
    folder, _ = family_model("diffllama")
    words = ["--model", folder, "--searcher", "one-shot", "--budget", "2", "--ppl.data", "demo"]
    words += ["--ppl.samples", "2", "--ppl.length", "24"]
    status, out, err = prunekit("search", *words, "--dry-run")
    assert (status, err) == (0, "")
    assert "\nwith --save: of the removals tried, only 4,5 can be written" in out
    _, out, _ = prunekit("search", *words, "--dry-run", "--json")
    assert "lambda_init" in json.loads(out)["checkpoint"]
    status, _, err = prunekit("search", *words, "--dry-run", "--save", tmp_path / "to")
    assert (status, len(err.strip().splitlines())) == (1, 1)
    assert prunekit("search", *words, "-q")[0] == 0


def test_every_block_is_gone_from_a_model_that_is_tried(tiny_model, plan_of, monkeypatch):
    tried = []
    monkeypatch.setattr(DecoderAdapter, "removal_check", lambda config, trust: tried.append)
    assert exportable.outlook(plan_of(tiny_model(), budget=3, protect="1")) == exportable.Outlook()
    assert all(len(subset) == 3 for subset in tried)
    assert frozenset().union(*tried) == {0, 2, 3, 4, 5, 6, 7}
    assert len(tried) == len(set(tried)) <= 6


def test_blocks_that_can_go_one_by_one_but_not_together_are_a_refusal(
    tiny_model, plan_of, monkeypatch
):
    def neighbours_only(removed):
        if max(removed) - min(removed) >= len(removed):
            raise UnfitModel("only neighbours can go")

    monkeypatch.setattr(DecoderAdapter, "removal_check", lambda config, trust: neighbours_only)
    with pytest.raises(CheckpointError, match="only 0,1 or 6,7 .*: only neighbours can go"):
        exportable.fit_to_checkpoint(plan_of(tiny_model()))


def test_where_nothing_can_be_tried_nothing_is_said(tiny_model, plan_of, monkeypatch):
    plan = plan_of(tiny_model())
    monkeypatch.setattr("prunekit.hf.construction.auto_class", None)
    assert exportable.fit_to_checkpoint(plan) is plan
    monkeypatch.delattr(DecoderAdapter, "removal_check")
    assert exportable.fit_to_checkpoint(plan) is plan


@pytest.mark.parametrize(
    ("text", "message"),
    [("x", "expected block numbers"), ("8", "this model has blocks 0 to 7"), ("-1", "0 to 7")],
)
def test_blocks_are_protected_by_number(text, message, tiny_model, plan_of):
    assert plan_of(tiny_model(), protect="3,1").problem.protected == {1, 3}
    with pytest.raises(ConfigError, match=f"protect .*{message}"):
        plan_of(tiny_model(), protect=text)
