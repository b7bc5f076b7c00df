"""A certificate in the checkpoint it is about."""

import json
import shutil

import pytest

import prunekit
from prunekit.engine.provenance import read_provenance


@pytest.fixture
def pruned(quick, tmp_path):
    shutil.copytree(quick["model"], tmp_path / "dense")
    return prunekit.export(tmp_path / "dense", remove=[1, 2], to=tmp_path / "pruned")


def test_the_card_and_the_record_have_it(quick, pruned):
    found = prunekit.certify(**{**quick, "model": str(pruned), "remove": None}, card=True)
    card, record = (pruned / "README.md").read_text(), read_provenance(pruned)
    assert f"by `prunekit certify`: {found.words}" in card
    assert [each["name"] for each in record["certificate"]["capabilities"]] == [
        each.name for each in found.capabilities
    ]
    assert str(quick["workdir"].parent) not in json.dumps(record["certificate"])


def test_it_is_replaced_by_the_next(quick, pruned):
    words = {**quick, "model": str(pruned), "remove": None, "card": True}
    prunekit.certify(**words)
    prunekit.certify(**{**words, "exercises": 0})
    card = (pruned / "README.md").read_text()
    assert card.count("by `prunekit certify`") == 1
    assert "copying" not in card


def test_the_checkpoint_is_still_the_one_that_was_written(quick, pruned):
    prunekit.certify(**{**quick, "model": str(pruned), "remove": None}, card=True)
    evaluated = prunekit.evaluate(str(pruned), ppl="demo", ppl_samples=2, device="cpu")
    assert not evaluated.remark
