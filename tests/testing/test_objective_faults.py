"""Planted faults of objectives: each is found, with a helpful message."""

import random
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from prunekit.core import IGNORE, option
from prunekit.core.registry import load
from prunekit.testing import ContractError, check_objective

TEXTS = [
    "Once upon a time there was a king.",
    "The fox said to the raven: sing.",
    "He went home, and lay down, and slept until the morning.",
    "Nobody knew where the old woman lived.",
]


@dataclass(frozen=True)
class Sound:
    """Mean negative log-likelihood per token of a few sentences."""

    name: ClassVar[str] = "sound"
    unit: ClassVar[str] = "nats per token"
    seed: int = option(0, "which order", low=0)

    def calibration_set(self, tokenizer):
        texts = random.Random(self.seed).sample(TEXTS, len(TEXTS))
        return [self.sample(tokenizer(text).input_ids) for text in texts]

    def sample(self, ids):
        row = torch.tensor([ids])
        return {
            "input_ids": row,
            "targets": torch.cat([row[:, 1:], torch.tensor([[IGNORE]])], 1),
            "characters": torch.tensor([len(ids)]),
        }

    def measure(self, output, batch):
        nll = -output.token_logprobs(batch.targets).double().sum(1)
        return nll, (batch.targets != IGNORE).sum(1)


def test_a_sound_objective_passes():
    check_objective(Sound())


def test_one_that_counts_passes_when_it_says_so():
    class Counting(Sound):
        """Share of words that are not among the likeliest."""

        differentiable = False

        def measure(self, output, batch):
            logprobs = output.token_logprobs(batch.targets)
            wrong = torch.where(logprobs.isnan(), logprobs, (logprobs < -2).float())
            return wrong.sum(1), (batch.targets != IGNORE).sum(1)

    check_objective(Counting())


class OneNumber(Sound):
    """Gives one number for the batch."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums.sum(), weights.sum()


class Floats(Sound):
    """Gives lists."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums.tolist(), weights.tolist()


class MeanOfBatch(Sound):
    """Divides by the batch's tokens."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums / weights.sum(), weights


class CountsPadding(Sound):
    """Weighs by the padded length."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums, torch.full_like(weights, batch.targets.shape[1])


class ReadsPadding(Sound):
    """Scores all positions, padding too."""

    def measure(self, output, batch):
        everywhere = torch.where(batch.targets == IGNORE, 3, batch.targets)
        return -output.token_logprobs(everywhere).double().sum(1), (batch.targets != IGNORE).sum(1)


class Unshifted(Sound):
    """Takes the input for the targets."""

    def sample(self, ids):
        row = torch.tensor([ids])
        return {"input_ids": row, "targets": row}


class GlobalChance(Sound):
    """Shuffles with the random module."""

    def calibration_set(self, tokenizer):
        texts = random.sample(TEXTS, len(TEXTS))
        return [self.sample(tokenizer(text).input_ids) for text in texts]


class OwnEntropy(Sound):
    """Shuffles with a generator that the system seeds."""

    def calibration_set(self, tokenizer):
        texts = random.Random().choices(TEXTS, k=12)
        return [self.sample(tokenizer(text).input_ids) for text in texts]


class SumsAlone(Sound):
    """Forgets the weights."""

    def measure(self, output, batch):
        return super().measure(output, batch)[0]


class ReadsTheClock(Sound):
    """Adds the time of day."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums + time.time(), weights


class Empty(Sound):
    """Finds nothing."""

    def calibration_set(self, tokenizer):
        return []


class Lazy(Sound):
    """Yields samples instead of listing them."""

    def calibration_set(self, tokenizer):
        return (self.sample(tokenizer(text).input_ids) for text in TEXTS)


class Flat(Sound):
    """Has samples without rows."""

    def sample(self, ids):
        return {name: tensor[0] for name, tensor in super().sample(ids).items()}


class Floating(Sound):
    """Has ids that are no whole numbers."""

    def sample(self, ids):
        return {name: tensor.float() for name, tensor in super().sample(ids).items()}


class BeyondVocabulary(Sound):
    """Has ids that there are not."""

    def sample(self, ids):
        return super().sample([*ids, 10**6])


class NoTargets(Sound):
    """Has nothing to predict."""

    def sample(self, ids):
        sample = super().sample(ids)
        return {**sample, "targets": torch.full_like(sample["targets"], IGNORE)}


class OtherEntries(Sound):
    """Has a tensor with other than one entry a row."""

    def sample(self, ids):
        return {**super().sample(ids), "characters": torch.tensor([1, 2, 3])}


class ZeroWeights(Sound):
    """Weighs nothing."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums, weights * 0


class Detached(Sound):
    """Loses the gradient."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums.detach(), weights


class Blind(Sound):
    """Looks at the batch alone."""

    def measure(self, output, batch):
        weights = (batch.targets != IGNORE).sum(1)
        return weights.double(), weights


class HidesBroken(Sound):
    """Turns what is not finite into zero."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums.nan_to_num(0.0, 0.0, 0.0), weights


class ChangesBatch(Sound):
    """Writes into the targets."""

    def measure(self, output, batch):
        found = super().measure(output, batch)
        batch.targets[batch.targets == IGNORE] = 0
        return found


class DrawsWhileMeasuring(Sound):
    """Measures some of the tokens, by chance."""

    def measure(self, output, batch):
        sums, weights = super().measure(output, batch)
        return sums * torch.rand(len(sums)), weights


class LooksInside(Sound):
    """Reads the hidden states."""

    def measure(self, output, batch):
        return output.hidden.sum((1, 2)), (batch.targets != IGNORE).sum(1)


class Overflows(Sound):
    """Has a reading that large losses break."""

    def readings(self, loss):
        import math

        return {"perplexity": math.exp(loss)}


class ReducesByOrder(Sound):
    """Weighs early samples more."""

    def reduce(self, sums, weights):
        return sum(x / (1 + i) for i, x in enumerate(sums))


class TakesAName(Sound):
    """Keeps something of the dense model under a name that is taken."""

    def prepare(self, batch, output):
        return {"characters": output.token_logprobs(batch.targets)}


class WrongDemoOptions(Sound):
    """Has defaults for a demo that are no options."""

    demo_options: ClassVar[dict[str, object]] = {"data": "demo"}


@dataclass(frozen=True)
class HoldsOutTheSame(Sound):
    """Holds out what it calibrates on, in another order."""

    def held_out(self, times=4):
        return replace(self, seed=self.seed + 1)


class HoldsOutTooFew(Sound):
    """Holds out a single sample."""

    def held_out(self, times=4):
        return Queen()


class HoldsOutByChance(Sound):
    """Holds out other samples at every call."""

    def held_out(self, times=4):
        return Ravens()


class Queen(Sound):
    """One sentence."""

    def calibration_set(self, tokenizer):
        return [self.sample(tokenizer("Somewhere else there was a queen.").input_ids)]


class Ravens(Sound):
    """Sentences that chance decides."""

    def calibration_set(self, tokenizer):
        numbers = random.SystemRandom().sample(range(10**9), 4)
        return [self.sample(tokenizer(f"There were {n} ravens.").input_ids) for n in numbers]


class Prints(Sound):
    """Says what it measures."""

    def measure(self, output, batch):
        print("batch", batch.n_samples)
        return super().measure(output, batch)


class Grows(Sound):
    """Raises its own seed."""

    def calibration_set(self, tokenizer):
        found = super().calibration_set(tokenizer)
        object.__setattr__(self, "seed", 0.0)
        object.__setattr__(self, "calls", 1)
        return found


FAULTS = [
    (
        OneNumber,
        r"gives a tensor \[\] as sums of 4 samples; expected a tensor of one number a sample",
    ),
    (Floats, "gives a list of 4 as sums"),
    (MeanOfBatch, "other numbers when each sample is a batch by itself"),
    (CountsPadding, "other numbers when each sample is a batch by itself"),
    (ReadsPadding, "measures other numbers .*read neither padding"),
    (Unshifted, "its own input as targets.*shift them by one"),
    (GlobalChance, "draws from the global generator of random"),
    (OwnEntropy, "another calibration set at another call"),
    (SumsAlone, r"gives a tensor \[4\], but `measure` must give \(sums, weights\)"),
    (ReadsTheClock, "other sums for the same predictions: .* no clock"),
    (Empty, "gives no sample: the calibration set is empty"),
    (Lazy, "must give a list of samples, not generator"),
    (Flat, r"number 0, that .*"),
    (Floating, "tokens that are no whole numbers"),
    (BeyondVocabulary, "ids outside the vocabulary"),
    (NoTargets, "has no target"),
    (OtherEntries, "has 3 entries in 'characters', but 1 rows"),
    (ZeroWeights, "each must be finite and above 0"),
    (Detached, "no .item.. or .detach"),
    (Blind, "the same sums, so there is nothing to search by"),
    (HidesBroken, "finite sums.*for predictions that are not finite"),
    (ChangesBatch, "changes the batch"),
    (DrawsWhileMeasuring, "other sums for the same predictions"),
    (LooksInside, "reads `output.hidden`"),
    (Overflows, "readings of a loss of 1000000.0, which must not fail: OverflowError"),
    (ReducesByOrder, "in another order to another loss"),
    (TakesAName, "keeps characters, a name that the batch has already"),
    (WrongDemoOptions, "demo_options that are none of its options"),
    (HoldsOutTheSame, "holds out a sample of its calibration set"),
    (HoldsOutTooFew, "holds out 1 samples, fewer than the 4 of its calibration set; return None"),
    (HoldsOutByChance, "holds out other samples at another call"),
    (Prints, "standard output, where prunekit prints results: 'batch 4'; use logging"),
    (Grows, "changes itself"),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_is_found(faulty, message, monkeypatch):
    # Another process takes seconds to start, and has a test of its own below.
    monkeypatch.setattr("prunekit.testing.objectives.elsewhere", lambda *args: None)
    with pytest.raises(ContractError, match=f"(?s)objective '.*{message}"):
        check_objective(faulty())


def test_an_instance_is_asked_for():
    with pytest.raises(ContractError, match=r"give check_objective an instance, `Sound\(\)`"):
        check_objective(Sound)


def test_what_depends_on_the_process_is_found(install):
    install(
        "prunekit-hashing",
        "from dataclasses import dataclass\n"
        "from prunekit.core import hookimpl\n"
        "from prunekit.plugins.objectives.perplexity import Perplexity\n"
        "@dataclass(frozen=True)\n"
        "class Hashing(Perplexity):\n"
        "    'Takes samples in the order of a set of words.'\n"
        "    name = 'hashing'\n"
        "    def calibration_set(self, tokenizer):\n"
        "        words = list({str(i) for i in range(8)})\n"
        "        samples = super().calibration_set(tokenizer)\n"
        "        return [samples[int(word)] for word in words]\n"
        "@hookimpl\n"
        "def prunekit_objectives(): return [Hashing]\n",
    )
    hashing = load().get("objective", "hashing").cls
    with pytest.raises(ContractError, match="another calibration set in another process"):
        check_objective(hashing(data="demo", samples=8, length=8))


def test_parts_of_a_composite_are_looked_at(registry):
    mix = registry.get("objective", "mix").cls

    class Itself(mix):
        """Is a part of itself."""

        def parts_by_name(self):
            return {"mix": 1.0}

    class Infinite(mix):
        """Has a weight that is infinite."""

        def parts_by_name(self):
            return {"ppl": float("inf")}

    class Loose(mix):
        """Asks that a model be better than the dense one."""

        def bounds_by_name(self):
            return {"ppl": 0.5}

    class BoundByItself(mix):
        """Bounds itself."""

        def bounds_by_name(self):
            return {"mix": 2.0}

    for faulty, message in (
        (Itself, "has itself as a part"),
        (Infinite, "finite weights"),
        (Loose, "finite ratios from 1 on"),
        (BoundByItself, "has itself as a part"),
    ):
        with pytest.raises(ContractError, match=message):
            check_objective(faulty())
