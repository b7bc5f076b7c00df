"""Each family is searched and exported faithfully, or refused with its reason: no third outcome.

docs/families.md says which of them it is; its table is read here, and held to what happens.
"""

import contextlib
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

import prunekit
from prunekit.core import CheckpointError
from prunekit.core.checkpoint import auto_class
from prunekit.core.proof import probe
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.workflows import export as exporting

TESTS = Path(__file__).parents[2]
FAMILIES = yaml.safe_load((TESTS / "families.yaml").read_text(encoding="utf-8"))["families"]
PAGE = (TESTS.parent / "docs" / "families.md").read_text(encoding="utf-8")
README = " ".join((TESTS.parent / "README.md").read_text(encoding="utf-8").split())
ROW = re.compile(r"^\| `([^|]*)` \| ([0-9, ]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TABLE = {name: (removed, search, export) for name, removed, search, export in ROW.findall(PAGE)}
N_BLOCKS = 6
CALIBRATION = {"data": "demo", "samples": 2, "length": 24}


def test_the_page_has_a_row_for_every_family_and_the_counts_it_names():
    assert list(TABLE) == list(FAMILIES)
    searched = sum(search == "yes" for _, search, _ in TABLE.values())
    exported = sum(export == "yes" for _, _, export in TABLE.values())
    assert f"Of {len(TABLE)} models, {searched} are searched and {exported} exported" in PAGE
    assert f"of {len(TABLE)} models tried, {searched} can be searched and {exported} exp" in README
    assert searched >= 40
    assert exported >= 36


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_searched_and_exported_or_refused(name, family_model, tmp_path, monkeypatch):
    where, search, export = TABLE[name]
    folder, removed = family_model(name)
    dense = load(folder)
    assert where == ", ".join(map(str, removed))
    began = watch_writing(monkeypatch)
    with expected_outcome(search):
        found = prunekit.search(
            str(folder),
            searcher="one-shot",
            budget=2,
            ppl=CALIBRATION,
            dtype="float32",
            device="cpu",
            workdir=tmp_path / "work",
        )
        check_losses(found, tmp_path / "work", dense, folder)
    with expected_outcome(search if search != "yes" else export):
        prunekit.export(str(folder), remove=removed, to=tmp_path / "pruned", device="cpu")
        check_checkpoint(tmp_path / "pruned", dense, removed)
    assert bool(began) == (tmp_path / "pruned").exists() == (export == "yes")


def watch_writing(monkeypatch):
    """What is written to, from the first byte on."""
    began = []
    place = exporting.rename_into_place
    monkeypatch.setattr(exporting, "rename_into_place", lambda to: began.append(to) or place(to))
    return began


@contextlib.contextmanager
def expected_outcome(cell):
    """Nothing is raised for a `yes`, else an error that says what the cell says."""
    if cell == "yes":
        yield
        return
    with pytest.raises(CheckpointError) as refusal:
        yield
    assert cell.replace("`", "") in str(refusal.value).replace("`", ""), str(refusal.value)


def load(folder):
    """The model of stock transformers, whole."""
    config = AutoConfig.from_pretrained(folder)
    model, report = auto_class(config).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values()), report
    return model.eval()


@contextlib.contextmanager
def bypassed(model, removed):
    """Blocks that give back what they were given."""
    lists = [
        (name.count("."), name)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == N_BLOCKS
    ]
    blocks = model.get_submodule(min(pair for pair in lists if "vision" not in pair[1])[1])

    def give_back(block, args, kwargs, output):
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden, *output[1:]) if isinstance(output, tuple | list) else hidden

    hooks = [blocks[i].register_forward_hook(give_back, with_kwargs=True) for i in removed]
    yield model
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def check_losses(found, workdir, model, folder):
    """All that the search measured, by the book: full logits, sums in float64."""
    samples = Perplexity(**CALIBRATION).calibration_set(AutoTokenizer.from_pretrained(folder))
    ids = torch.cat([sample["input_ids"] for sample in samples])

    def loss(removed):
        with bypassed(model, removed):
            logits = model(input_ids=ids, use_cache=False).logits
        chosen = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])
        return -chosen.double().mean().item()

    assert found.dense.loss == pytest.approx(loss([]), rel=1e-6)
    measured = 0
    for segment in (workdir / "journals").glob("*/*.jsonl"):
        for line in segment.read_text().splitlines()[1:]:
            piece = json.loads(line)
            mine = sum(piece["sums"]) / sum(piece["weights"])
            assert mine == pytest.approx(loss(piece["removed"]), rel=1e-6)
            measured += 1
    assert measured >= N_BLOCKS + 1


@torch.no_grad()
def check_checkpoint(folder, dense, removed):
    """It loads whole, is the bypassed model, and generates the same with and without a cache."""
    model = load(folder)
    ids = probe(24).input_ids
    with bypassed(dense, removed):
        wanted = dense(input_ids=ids, use_cache=False).logits
    assert (wanted - dense(input_ids=ids, use_cache=False).logits).abs().max() > 1e-3
    torch.testing.assert_close(model(input_ids=ids).logits, wanted, rtol=0, atol=1e-5)
    model.generation_config = GenerationConfig(pad_token_id=0, max_new_tokens=8, do_sample=False)
    mask = torch.ones_like(ids)
    texts = [model.generate(ids, attention_mask=mask, use_cache=use) for use in (True, False)]
    assert torch.equal(*texts)
