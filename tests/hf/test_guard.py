"""A plugin that changes torch's defaults or the weights is blamed before its loss is kept."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import prunekit
from prunekit.core.errors import PrunekitError
from prunekit.hf.guard import Guard

OBJECTIVE = """
import torch
from prunekit.core import hookimpl
from prunekit.plugins.objectives.perplexity import Perplexity

class Sly(Perplexity):
    name, data, samples, length = "sly", "demo", 2, 24
    def calibration_set(self, tokenizer):
        IN_CALIBRATION
        return super().calibration_set(tokenizer)
    def measure(self, output, batch):
        output.token_logprobs(batch.targets)
        IN_MEASURE
        return super().measure(output, batch)

@hookimpl
def prunekit_objectives():
    return [Sly]
"""
MODEL = """
import torch
from prunekit.core import hookimpl
from prunekit.plugins.models.llama3 import Llama3

class Sly(Llama3):
    name = "sly"
    @classmethod
    def handles(cls, config):
        return 3
    @classmethod
    def load(cls, checkpoint, device, dtype):
        adapter = super().load(checkpoint, device, dtype)
        IN_LOAD
        return adapter
    def output(self, state):
        if self.sly():
            IN_OUTPUT
        return super().output(state)
    def block(self, index, state):
        if self.sly():
            IN_BLOCK
        return super().block(index, state)
    def sly(self):
        import inspect
        return not any(frame.function == "prove" for frame in inspect.stack())

@hookimpl
def prunekit_models():
    return [Sly]
"""
SEARCHER = """
import torch
from prunekit.core import Searcher, hookimpl

class Sly(Searcher):
    name = "sly"
    def search(self, problem):
        yield [frozenset({0})]
        torch.set_default_dtype(torch.float64)
        yield [frozenset({1})]
        return frozenset({0, 1})

@hookimpl
def prunekit_searchers():
    return [Sly]
"""
DTYPE = "torch.set_default_dtype(torch.float64)"
CHANGES_DTYPE = "it changes torch's default dtype from torch.float32 to torch.float64"
CHANGES_WEIGHTS = "it changes the weights of the model in place"
HEAD = "output.head.__self__.model.get_output_embeddings().weight"


def with_code(source, **places):
    for place in ("IN_CALIBRATION", "IN_MEASURE", "IN_LOAD", "IN_OUTPUT", "IN_BLOCK"):
        source = source.replace(place, places.get(place, "pass"))
    return source


def search(tiny_model, tmp_path, **given):
    """The one line, after which no measurement is kept that the plugin spoilt."""
    shape = {"data": "demo", "samples": 2, "length": 24}
    objective = given.get("objective", "ppl")
    with pytest.raises(PrunekitError) as caught:
        prunekit.search(
            str(shutil.copytree(tiny_model(n_blocks=4), tmp_path / "model")),
            **given,
            **{objective: shape},
            budget=2,
            workdir=tmp_path / "runs",
        )
    changed, now = torch.get_default_dtype(), torch.set_default_dtype(torch.float32)
    assert (changed, now) == (torch.float32, None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def kept(workdir):
    files = Path(workdir).glob("runs/journals/*/*.jsonl")
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [row for row in rows if "sums" in row]


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("IN_CALIBRATION", DTYPE, CHANGES_DTYPE),
        ("IN_MEASURE", DTYPE, CHANGES_DTYPE),
        ("IN_MEASURE", "torch.set_num_threads(3)", "it changes torch's number of threads from"),
        ("IN_MEASURE", f"{HEAD}.mul_(1.5)", CHANGES_WEIGHTS),
        ("IN_MEASURE", f"{HEAD}.data.mul_(1.5)", CHANGES_WEIGHTS),
        ("IN_MEASURE", f"{HEAD}[7, 3] += 1", CHANGES_WEIGHTS),
    ],
)
def test_an_objective_that_does_is_blamed(install, tiny_model, tmp_path, place, code, said):
    install("sly", with_code(OBJECTIVE, **{place: code}))
    line = search(tiny_model, tmp_path, objective="sly")
    assert line.startswith("objective 'sly' (sly.Sly) failed: RuntimeError: " + said)
    assert not kept(tmp_path)


WEIGHT = "self.model.model.layers[0].mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("IN_LOAD", DTYPE, CHANGES_DTYPE),
        ("IN_BLOCK", DTYPE, CHANGES_DTYPE),
        ("IN_OUTPUT", DTYPE, CHANGES_DTYPE),
        ("IN_BLOCK", f"{WEIGHT}.add_(1)", CHANGES_WEIGHTS),
        ("IN_OUTPUT", f"{WEIGHT}.data.zero_()", CHANGES_WEIGHTS),
    ],
)
def test_a_model_family_that_does_is_blamed(install, tiny_model, tmp_path, place, code, said):
    install("sly", with_code(MODEL, **{place: code}))
    line = search(tiny_model, tmp_path, adapter="sly")
    assert "'sly'" in line
    assert said in line
    assert not kept(tmp_path)


def test_what_changes_between_measurements_is_not_blamed_on_model_or_objective(
    install, tiny_model, tmp_path
):
    install("sly", SEARCHER)
    line = search(tiny_model, tmp_path, searcher="sly")
    assert line.startswith("the searcher or another plugin in this process: it changes torch's")


def test_a_plugin_may_change_defaults_and_restore_them(install, tiny_model, tmp_path):
    code = "torch.set_default_dtype(torch.float64); torch.set_default_dtype(torch.float32)"
    install("sly", with_code(OBJECTIVE, IN_MEASURE=code))
    result = prunekit.search(
        str(tiny_model(n_blocks=4)),
        objective="sly",
        sly={"data": "demo", "samples": 2, "length": 24},
        workdir=tmp_path,
    )
    assert result.removed


def test_weights_that_are_not_finite_or_empty_do_not_look_changed():
    weights = [torch.tensor([float("nan"), 1.0]), torch.empty(0, 3), torch.tensor(2.0).half()]
    guard = Guard(weights)
    guard.check_weights()
    weights[2].data.add_(1)
    with pytest.raises(RuntimeError, match=CHANGES_WEIGHTS):
        guard.check_weights()
