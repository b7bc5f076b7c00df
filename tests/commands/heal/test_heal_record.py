"""What a healed checkpoint says of itself: from which model, search and text it came."""

import dataclasses
import json
import shlex
from pathlib import Path

import torch
from safetensors.torch import load_file

import prunekit
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.provenance import read_provenance
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.heal.heal import heal


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def test_a_checkpoint_is_healed_with_its_dense_model_found_by_what_is_in_it(quick, tmp_path):
    folder = tmp_path / "pruned"
    prunekit.export(quick["model"], remove=quick.pop("remove"), to=folder)
    by_name = heal(
        **{**quick, "model": str(folder)}, teacher=quick["model"], to=tmp_path / "by_name"
    )
    (tmp_path / by_name.model).symlink_to(quick["model"])
    beside = heal(**{**quick, "model": str(folder)}, to=tmp_path / "beside")
    assert beside.healed == by_name.healed


def test_the_choice_of_a_run_is_healed_on_its_own_data(quick, tmp_path):
    del quick["remove"]
    text = tmp_path / "own.jsonl"
    stories = [f"A story of {i} cats and {i * i} dogs. " * 30 for i in range(40)]
    text.write_text("\n".join(json.dumps({"text": story}) for story in stories))
    search = prunekit.search(
        quick.pop("model"),
        searcher="one-shot",
        budget=1,
        repair="magnitude",
        repair_tokens=256,
        ppl={"data": str(text), "samples": 4, "length": 32},
        workdir=quick["workdir"],
        finalists=0,
    )
    quick["ppl"].pop("data")
    result = heal(**quick, run=search.run, to=tmp_path / "healed")
    assert result.removed == search.removed
    assert result.healed.data == "own.jsonl"
    record = json.loads((tmp_path / "healed" / "prunekit.json").read_text())
    assert record["search"]["repair"]["name"] == "magnitude"
    assert record["heal"] == json.loads(json.dumps(dataclasses.asdict(result.healed)))
    card = (tmp_path / "healed" / "README.md").read_text()
    assert "repaired by magnitude" in card
    assert result.healed.words.split(" trained:")[0] in card.replace("`", "").replace("\\", "")


def test_evaluate_sets_a_healed_model_beside_its_dense_one(quick, tmp_path):
    healed = heal(**quick, to=tmp_path / "healed")
    (tmp_path / healed.model).symlink_to(quick["model"])
    result = prunekit.evaluate(str(tmp_path / "healed"), ppl="demo", workdir=tmp_path / "work")
    assert result.removed == (1, 2)
    assert result.perplexities["demo"].dense
    assert find(Spec(str(tmp_path / "healed")), load()).identity()
    assert not result.remark


def test_a_healed_model_can_be_pruned_and_healed_again(quick, tmp_path):
    heal(**quick, to=tmp_path / "healed")
    again = {**quick, "model": str(tmp_path / "healed"), "remove": [0]}
    result = heal(**again, to=tmp_path / "again")
    record = json.loads((tmp_path / "again" / "prunekit.json").read_text())
    assert record["removed_of_first"] == [0, 1, 2]
    assert result.removed == (0,)


def test_the_card_says_how_to_do_it_again(quick, request, tmp_path):
    """With the same weights."""
    type_it = request.getfixturevalue("prunekit")
    more = {"last": 1, "checks": 4, "seed": 3, "distill": 0.25}
    heal(**quick, **more, to=tmp_path / "one" / "healed")
    card = (tmp_path / "one" / "healed" / "README.md").read_text()
    lines = [shlex.split(x) for x in card.splitlines() if x.startswith("prunekit ")]
    assert [words[1] for words in lines] == ["export", "heal"]
    (tmp_path / Path(quick["model"]).name).symlink_to(quick["model"])
    for words in lines:
        status, _, err = type_it(*words[1:], "--device", "cpu")
        assert status == 0, err
    one, other = (weights_of(p) for p in (tmp_path / "one" / "healed", tmp_path / "healed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_every_healing_is_remembered(quick, tmp_path):
    heal(**quick, to=tmp_path / "once")
    del quick["remove"]
    again = {**quick, "model": str(tmp_path / "once"), "teacher": quick["model"]}
    heal(**{**again, "tokens": 1024, "seed": 1}, to=tmp_path / "twice")
    record = json.loads((tmp_path / "twice" / "prunekit.json").read_text())
    assert [heal["tokens"] for heal in record["healed_before"]] == [2048]
    assert record["heal"]["planned"] == 1024
    assert "Healed on 2,048 tokens of" in (tmp_path / "twice" / "README.md").read_text()
    pruned = prunekit.export(str(tmp_path / "twice"), remove=[0], to=tmp_path / "pruned")
    (step,) = json.loads((pruned / "prunekit.json").read_text())["before"]
    assert len(step["heals"]) == 2
    assert "then healed on 2,048 tokens of" in (pruned / "README.md").read_text()


def test_a_search_that_chose_the_same_blocks_is_not_forgotten(quick, tmp_path):
    words = {"searcher": "one-shot", "budget": 2, "protect": "0,3", "finalists": 0}
    run = prunekit.search(quick["model"], **words, ppl=quick["ppl"], workdir=quick["workdir"])
    heal(**quick, to=tmp_path / "by_hand")
    given = {k: v for k, v in quick.items() if k not in ("model", "remove")}
    heal(**given, run=run.run, to=tmp_path / "searched")
    cards = [(tmp_path / n / "README.md").read_text() for n in ("by_hand", "searched")]
    assert ["Chosen by hand" in card for card in cards] == [True, False]


def test_healing_forgets_what_the_weights_before_were_worth_as_a_draft(quick, tmp_path):
    prunekit.draft(
        quick["model"],
        remove=[1, 2],
        new_tokens=4,
        repeats=1,
        lookahead="1",
        workdir=quick["workdir"],
        device="cpu",
        to=tmp_path / "draft",
    )
    assert read_provenance(tmp_path / "draft")["draft"]["lookahead"] == 1
    del quick["remove"]
    given = {**quick, "model": str(tmp_path / "draft"), "teacher": quick["model"]}
    heal(**given, to=tmp_path / "healed")
    assert "draft" not in read_provenance(tmp_path / "healed")
