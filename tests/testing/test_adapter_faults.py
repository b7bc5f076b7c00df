"""Planted faults of model families: each is found, with a helpful message."""

import contextlib
import random
import threading
from dataclasses import replace

import pytest
import torch

from prunekit.core.registry import load
from prunekit.hf import Checkpoint
from prunekit.hf.decoder import DecoderAdapter
from prunekit.testing import ContractError, check_adapter


class Sound(DecoderAdapter):
    """Qwen3 checkpoints."""

    name = "sound"

    @classmethod
    def handles(cls, config):
        return 2 * (config.model_type == "qwen3")


@pytest.fixture
def folder(tiny_model):
    return tiny_model("qwen3-sliding", n_blocks=4)


def test_a_sound_family_passes(folder):
    check_adapter(Sound, folder)


def test_without_a_demo_a_checkpoint_must_be_given():
    with pytest.raises(ContractError, match="brings no demo; give check_adapter a folder"):
        check_adapter(Sound)


def test_a_class_is_asked_for(folder):
    with pytest.raises(ContractError, match="give check_adapter the class, `Sound`, not an inst"):
        check_adapter(Sound.load(Checkpoint(str(folder)), "cpu", "float32"), folder)


class HandlesNothing(Sound):
    """Handles no model."""

    @classmethod
    def handles(cls, config):
        return 0


class HandlesAll(Sound):
    """Claims every model for its own."""

    @classmethod
    def handles(cls, config):
        return 2


class HandlesWords(Sound):
    """Answers in words."""

    @classmethod
    def handles(cls, config):
        return "yes"


class AsksTooMuch(Sound):
    """Reads a field that other models have not."""

    @classmethod
    def handles(cls, config):
        return 2 * (config.sliding_window > 0)


def with_facts(name, **changed):
    """A family that says something else of its model."""

    def load(cls, checkpoint, device, dtype):
        made = super(family, cls).load(checkpoint, device, dtype)
        made.facts = replace(made.facts, **changed)
        return made

    body = {"__doc__": "Says wrong things.", "load": classmethod(load), "__module__": __name__}
    family = type(name, (Sound,), body)
    return family


WrongCount = with_facts("WrongCount", n_blocks=3)
WrongParameters = with_facts("WrongParameters", parameters=17)
WrongBlockParameters = with_facts("WrongBlockParameters", block_parameters=(1, 2, 3, 4))
NoFingerprint = with_facts("NoFingerprint", fingerprint={})
FingerprintOfName = with_facts("FingerprintOfName", fingerprint={"weights": "qwen3"})


class FingerprintWithoutWeights(Sound):
    """Tells dtypes apart, but not weights."""

    def _fingerprint(self, identity):
        return super()._fingerprint("the same")


class FingerprintOfToday(Sound):
    """Tells every load apart."""

    def _fingerprint(self, identity):
        return super()._fingerprint(str(random.random()))


class InPlace(Sound):
    """Writes the block's output over its input."""

    def block(self, index, state):
        state.hidden.copy_(super().block(index, state).hidden)
        return state


class Forgetful(Sound):
    """Keeps on itself what the model hands to its blocks."""

    def enter(self, batch):
        state = super().enter(batch)
        self.calls = state.calls
        return replace(state, calls=())

    def block(self, index, state):
        return super().block(index, replace(state, calls=self.calls))


class OtherMath(Sound):
    """Doubles what the blocks add, in its own reference too."""

    def block(self, index, state):
        after = super().block(index, state)
        return replace(after, hidden=2 * after.hidden - state.hidden)

    def reference(self, batch, removed):
        state = self.enter(batch)
        for index in range(self.facts.n_blocks):
            state = state if index in removed else self.block(index, state)
        where = torch.ones_like(batch.input_ids, dtype=torch.bool)
        logits = torch.cat(list(self.output(state).logits(where)))
        return logits.reshape(*batch.input_ids.shape, -1)


class NoNorm(Sound):
    """Leaves out the final norm."""

    def output(self, state):
        output = super().output(state)
        output.head = self.model.get_output_embeddings()
        return output


class HalfPrecision(Sound):
    """Predicts in bfloat16."""

    def output(self, state):
        output = super().output(state)
        whole = output.logits
        output.logits = lambda where: (part.bfloat16() for part in whole(where))
        return output


class OtherOrder(Sound):
    """Gives logits in another order than places."""

    def output(self, state):
        output = super().output(state)
        logprobs = output.token_logprobs
        output.token_logprobs = lambda targets: logprobs(targets).flip(1) * (targets >= 0)
        return output


class NoGate(Sound):
    """Does not know gates."""

    def gated_block(self, index, state, gate):
        return self.block(index, state)


class GateWithoutGradient(Sound):
    """Switches gradients off."""

    def gated_block(self, index, state, gate):
        with torch.no_grad():
            return super().gated_block(index, state, gate)


class GateStays(Sound):
    """Leaves the gate on."""

    def gated_block(self, index, state, gate):
        self.gate = gate.detach()
        return super().gated_block(index, state, gate)

    def block(self, index, state):
        gate = getattr(self, "gate", None)
        return super().block(
            index, state if gate is None else replace(state, hidden=state.hidden * 2)
        )


class BypassStays(Sound):
    """Leaves blocks bypassed when something goes wrong."""

    @contextlib.contextmanager
    def bypassing(self, removed):
        self.held = super().bypassing(removed)
        yield self.held.__enter__()
        self.held.__exit__(None, None, None)


class BypassesNothing(Sound):
    """Lends the whole model."""

    def reference(self, batch, removed):
        with super().bypassing(removed):
            return self._forward(batch).logits

    def bypassing(self, removed):
        return contextlib.nullcontext(self.model)


class CannotBeCopied(Sound):
    """Keeps a lock."""

    def __init__(self, model, identity):
        super().__init__(model, identity)
        self.lock = threading.Lock()


class RemovesSome(Sound):
    """Makes no model that is whole."""

    def without(self, removed):
        return super().without({min(removed)} | removed)


class KeepsCount(Sound):
    """Does not say that there are fewer blocks."""

    def without(self, removed):
        model = super().without(removed)
        model.config.layer_types = ["full_attention"] * self.facts.n_blocks
        model.config.num_hidden_layers = self.facts.n_blocks
        return model


class RemovesOthers(Sound):
    """Exports with other blocks gone."""

    def without(self, removed):
        return super().without(frozenset(self.facts.n_blocks - 1 - i for i in removed))


class KeepsLayerTypes(Sound):
    """Does not shorten the list of kinds of layers."""

    def without(self, removed):
        kinds = list(self.model.config.layer_types)
        model = super().without(removed)
        model.config.layer_types = kinds[: len(model.model.layers)]
        return model


class Prints(Sound):
    """Says which block runs."""

    def block(self, index, state):
        print("block", index)
        return super().block(index, state)


class FillsIn(Sound):
    """Takes what weights there are."""

    @classmethod
    def load(cls, checkpoint, device, dtype):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(checkpoint.source, dtype=getattr(torch, dtype))
        return cls(model, checkpoint.identity())


class RaisesAnything(FillsIn):
    """Refuses missing weights by another error."""

    @classmethod
    def load(cls, checkpoint, device, dtype):
        from safetensors.torch import load_file

        model = super().load(checkpoint, device, dtype)
        read = load_file(f"{checkpoint.source}/model.safetensors")
        for name in model.model.state_dict():
            read[name]
        return model


class OwnDtype(FillsIn):
    """Loads in the dtype that it likes."""

    @classmethod
    def load(cls, checkpoint, device, dtype):
        return super().load(checkpoint, device, "float32")


FAULTS = [
    (HandlesNothing, "does not handle the checkpoint"),
    (HandlesAll, "of a model of no type that it is its own family"),
    (HandlesWords, "expected 0, 1 or 2"),
    (AsksTooMuch, "asked whether it handles a configuration: AttributeError"),
    (WrongCount, "says that 4 blocks are 3"),
    (WrongParameters, "counts 17 parameters"),
    (WrongBlockParameters, "by facts.block_parameters .* should be left"),
    (NoFingerprint, "gives the fingerprint {}"),
    (FingerprintOfName, "same fingerprint in bfloat16"),
    (FingerprintWithoutWeights, "gives other weights the same fingerprint"),
    (FingerprintOfToday, "another fingerprint when the same checkpoint is loaded again"),
    (InPlace, "changes what goes into block 0"),
    (Forgetful, "running two batches at once: RuntimeError|keeps on itself"),
    (OtherMath, "does not give the model's own logits"),
    (NoNorm, "does not give the model's own logits"),
    (HalfPrecision, "predicts in torch.bfloat16|differs by"),
    (OtherOrder, "log-probabilities that do not fit its logits"),
    (NoGate, "must multiply what a block adds by the gate of each row"),
    (GateWithoutGradient, "running a block with a gate: RuntimeError|cannot be differentiated"),
    (GateStays, "leaves a gate on the block"),
    (BypassStays, "leaves blocks bypassed"),
    (BypassesNothing, "does not pass the removed blocks by"),
    (CannotBeCopied, "being copied, as `prunekit latency` does: TypeError"),
    (RemovesSome, "making the model anew with all its blocks, .*: ValueError"),
    (KeepsCount, "exports a model without blocks .* does not load completely"),
    (RemovesOthers, "exports a model without blocks .* predicts something else"),
    (KeepsLayerTypes, "exports a model without blocks .* predicts something else"),
    (Prints, "writes to standard output.*'block 0'"),
    (FillsIn, "loads a checkpoint in which a weight is missing"),
    (RaisesAnything, "answers a missing weight with KeyError"),
    (OwnDtype, "same fingerprint in bfloat16"),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_is_found(faulty, message, folder):
    with pytest.raises(ContractError, match=f"(?s)model 'sound'.*({message})"):
        check_adapter(faulty, folder)


def test_what_is_heavy_to_import_is_found(folder, install):
    install(
        "prunekit-heavy",
        "import scipy\n"
        "from prunekit.core import hookimpl\n"
        "from prunekit.hf.decoder import DecoderAdapter\n"
        "class Heavy(DecoderAdapter):\n"
        "    'Qwen3 checkpoints.'\n"
        "    name = 'heavy'\n"
        "    @classmethod\n"
        "    def handles(cls, config): return 2 * (config.model_type == 'qwen3')\n"
        "@hookimpl\n"
        "def prunekit_models(): return [Heavy]\n",
    )
    with pytest.raises(ContractError, match="import scipy.*inside the methods that use it"):
        check_adapter(load().get("model", "heavy").cls, folder)
