"""The certificate: verdicts on capabilities, and the texts that they are from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prunekit.core.errors import PrunekitError
from prunekit.engine.certified import Certified, Judged, counted
from prunekit.engine.provenance import name_of, without_paths
from prunekit.engine.stored import finite
from prunekit.engine.summary import Summarised, Summary, plain, without
from prunekit.plugins.commands.certify.capability import Capability

SCHEMA = 1


@dataclass(frozen=True)
class Texts:
    """What both models wrote after one prompt."""

    prompt: str
    rendered: str
    """what they read, with the chat template if that was used"""
    dense: str
    """greedily"""
    pruned: str
    dense_sampled: tuple[str, ...]
    pruned_sampled: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What both models answered to one exercise."""

    kind: str
    prompt: str
    answer: str
    """the right one"""
    dense: str
    pruned: str
    dense_right: bool
    pruned_right: bool


@dataclass(frozen=True, repr=False)
class Certificate(Summarised):
    """The result of `prunekit certify`."""

    model: str
    """the dense model, or the baseline"""
    removed: tuple[int, ...]
    name: str
    """of the checkpoint's folder, or `pruned`"""
    afterwards: str
    """what was done after the removal: repaired, healed"""
    baseline: str
    remark: str
    capabilities: tuple[Capability, ...]
    texts: tuple[Texts, ...]
    answers: tuple[Answers, ...]
    writing: Mapping[str, Any]
    """how texts were written: the options"""
    fingerprint: Mapping[str, str]
    """of the pruned model and the machine"""
    versions: Mapping[str, str]
    folder: str
    """in which certificate.json and certificate.html are"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return the verdict on each capability."""
        facts = {
            of.name: f"{of.verdict}: {of.dense:.2f} dense, {of.pruned:.2f} pruned"
            for of in self.capabilities
        }
        title = f"{without(self.model, self.removed)}, beside the dense model"
        return Summary(title, self.removed, facts={**facts, "folder": self.folder})

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each capability."""
        return [plain(of, "threshold") for of in self.capabilities]

    @property
    def failed(self) -> tuple[Capability, ...]:
        """Return the capabilities whose verdicts are worse than required."""
        return tuple(each for each in self.capabilities if not each.passed)

    @property
    def words(self) -> str:
        """Count the verdicts: `6 kept, 2 hurt, 1 lost`."""
        return counted([each.verdict for each in self.capabilities])

    def certified(self) -> Certified:
        """Return what a checkpoint says of itself: the verdicts without the texts."""
        return Certified(
            name_of(self.model),
            tuple(map(_judged, self.capabilities)),
            without_paths(self.writing),
            self.versions,
        )

    def to_json(self) -> str:
        """Return JSON text."""
        row: dict[str, Any] = finite({**asdict(self), "words": self.words})
        return json.dumps(row, indent=2, allow_nan=False) + "\n"


def _judged(each: Capability) -> Judged:
    return Judged(
        name=each.name,
        says=each.says,
        n=each.n,
        unit=each.unit,
        dense=each.dense,
        pruned=each.pruned,
        low=each.difference.low,
        high=each.difference.high,
        verdict=each.verdict,
    )


class NotCertified(PrunekitError):
    """A capability is worse than its threshold requires; the message names each."""

    exit_status = 3

    def __init__(self, certificate: Certificate) -> None:
        missed = "; ".join(
            f"{each.name} is {each.verdict}, required at worst: {each.threshold.require}"
            for each in certificate.failed
        )
        super().__init__(f"not certified: {missed}")
        self.certificate = certificate
