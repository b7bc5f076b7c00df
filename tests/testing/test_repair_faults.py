"""Planted faults of repairs: each is found, with a helpful message."""

import itertools
import random
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch

from prunekit.core import Patch
from prunekit.core.registry import load
from prunekit.testing import ContractError, check_repair


@dataclass(frozen=True)
class Ratio:
    """Scales the stream by the median ratio of its norms."""

    name: ClassVar[str] = "ratio"

    def patches(self, cut):
        yield Patch(scale=self.ratio(cut))
        yield Patch()

    def ratio(self, cut):
        return float((cut.after.norm(dim=-1) / cut.before.norm(dim=-1)).median())


@dataclass(frozen=True)
class Mixes(Ratio):
    """Mixes what was fed, by the same for every cut."""

    def matrix(self, cut):
        return 0.1 * torch.ones(len(cut.fed[0]), len(cut.fed[0]))

    def patches(self, cut):
        yield Patch(1.0, self.matrix(cut))


@pytest.mark.parametrize("sound", [Ratio(), Mixes()], ids=["scale", "matrix"])
def test_a_sound_repair_passes(sound):
    check_repair(sound)


def test_an_instance_is_asked_for():
    with pytest.raises(ContractError, match=r"give check_repair an instance, `Ratio\(\)`"):
        check_repair(Ratio)


class Nothing(Ratio):
    """Yields no patch."""

    def patches(self, cut):
        return iter(())


class Idle(Ratio):
    """Changes nothing."""

    def patches(self, cut):
        yield Patch()


class Endless(Ratio):
    """Never ends."""

    def patches(self, cut):
        return (Patch(1 + 1 / n) for n in itertools.count(1))


class Bare(Ratio):
    """Yields what should be in a patch."""

    def patches(self, cut):
        yield self.ratio(cut)


class TensorScale(Ratio):
    """Forgets float()."""

    def ratio(self, cut):
        return cut.after.norm() / cut.before.norm()


class Negative(Ratio):
    """Turns the stream round."""

    def ratio(self, cut):
        return -1.0


class Overflows(Ratio):
    """Squares twice, which is too much for an outlier."""

    def ratio(self, cut):
        return float((cut.after**16).sum() / (cut.before**16).sum())


class Array(Mixes):
    """Yields an array of NumPy."""

    def matrix(self, cut):
        return super().matrix(cut).numpy()


class Flat(Mixes):
    """Yields a factor for every channel."""

    def matrix(self, cut):
        return torch.ones(cut.fed.shape[-1])


class Half(Mixes):
    """Computes in 16 bits."""

    def matrix(self, cut):
        return super().matrix(cut).bfloat16()


class Learns(Mixes):
    """Yields what it trained."""

    def matrix(self, cut):
        with torch.enable_grad():
            return super().matrix(cut).requires_grad_() * 2


class Inverts(Mixes):
    """Solves what may have no solution, however many tokens there are."""

    def matrix(self, cut):
        return torch.linalg.inv(cut.fed.T @ cut.fed) @ cut.fed.T @ (cut.after - cut.before)

    def tokens_needed(self, width):
        return 2 * width


class NeedsTwo(Ratio):
    """Takes the spread of the tokens, and says that one is enough."""

    def ratio(self, cut):
        after, before = (stream - stream.mean(0) for stream in (cut.after, cut.before))
        return float(after.norm() / before.norm())


class Centres(Ratio):
    """Centres the stream where it is."""

    def ratio(self, cut):
        cut.after.sub_(cut.after.mean())
        return super().ratio(cut)


class Vague(Ratio):
    """Needs a share of a token."""

    def tokens_needed(self, width):
        return width / 2


class Draws(Ratio):
    """Draws from the generator of everybody."""

    def ratio(self, cut):
        return super().ratio(cut) + random.random()


class Remembers(Ratio):
    """Draws other numbers for each cut."""

    chance: ClassVar = random.Random(0)

    def ratio(self, cut):
        return super().ratio(cut) + self.chance.random()


class Hurries(Ratio):
    """Works until its time is up."""

    def ratio(self, cut):
        start = time.monotonic()
        return 1.5 if time.monotonic() - start < 60 else 2.0


class Continues(Ratio):
    """Begins where the last cut ended."""

    last: ClassVar[list] = [1.0]

    def ratio(self, cut):
        self.last.append(round(super().ratio(cut), 2))
        return self.last[-1] + self.last[-2 if len(self.last) % 8 else -1]


class Counts(Ratio):
    """Counts its cuts."""

    def ratio(self, cut):
        vars(self)["seen"] = vars(self).get("seen", 0) + 1
        return super().ratio(cut)


class Huge(Ratio):
    """Makes the stream so large that nothing else counts."""

    def patches(self, cut):
        yield Patch(1e9)


class Prints(Ratio):
    """Talks."""

    def ratio(self, cut):
        print("dividing")
        return super().ratio(cut)


@dataclass(frozen=True)
class Holds(Ratio):
    """Holds a function."""

    halve: Any = field(default=None, init=False)

    def __post_init__(self):
        object.__setattr__(self, "halve", lambda x: x / 2)


FAULTS = [
    (Nothing, "where the removed blocks add .*`patches` must give at least one"),
    (Idle, "yields nothing but `Patch\\(\\)`"),
    (Endless, "more than 100 patches for one cut.*yield a few strengths"),
    (Bare, "must give objects of Patch, not float"),
    (TensorScale, "must give scales from 0.5 on, not tensor"),
    (Negative, "must give scales from 0.5 on, not -1.0"),
    (Overflows, "one token is 1000 times as large in `\\w+`: `patches` must give scales"),
    (Array, "matrices as tensors of floating-point numbers"),
    (Flat, "matrices of \\[12, 12\\], not \\[12\\]"),
    (Half, "a matrix in bfloat16; compute in float32"),
    (Learns, "requires gradients.*detach"),
    (Inverts, "leaves a channel as it is: .*(singular|finite)"),
    (NeedsTwo, "as few tokens as `tokens_needed` asks for \\(1\\): .*not nan"),
    (Centres, "changes `after` of the cut that it is given"),
    (Vague, "needs 6.0 tokens for a stream of width 12; expected a whole number"),
    (Draws, "draws from the global generator of random.*torch.Generator of its own"),
    (Remembers, "yields other patches when the same cut is given again"),
    (Hurries, "yields other patches when the clock runs faster"),
    (Continues, "a patch depends on its own cut alone"),
    (Counts, "changes itself while it works"),
    (Huge, "so strong that a demo model without blocks .* predicts something else"),
    (Prints, "writes to standard output.*'dividing'"),
    (Holds, "cannot be pickled"),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_is_found(faulty, message):
    with pytest.raises(ContractError, match=f"(?s)repair 'ratio'.*({message})"):
        check_repair(faulty())


SOURCE = """
{top}
from dataclasses import dataclass
from prunekit.core import Patch, hookimpl
@dataclass(frozen=True)
class Elsewhere:
    "Scales the stream."
    name = "elsewhere"
    def patches(self, cut):
        yield Patch({scale})
@hookimpl
def prunekit_repairs(): return [Elsewhere]
"""


@pytest.mark.parametrize(
    ("top", "scale", "message"),
    [
        ("", "2 + abs(hash('a')) % 2**20", "yields other patches in another process.*hash"),
        ("import scipy", "1.5", "import scipy.*inside the methods that use it"),
    ],
    ids=["hash", "heavy"],
)
def test_faults_that_show_in_another_process_are_found(install, top, scale, message):
    install("prunekit-elsewhere", SOURCE.format(top=top, scale=scale))
    with pytest.raises(ContractError, match=message):
        check_repair(load().get("repair", "elsewhere").cls())
