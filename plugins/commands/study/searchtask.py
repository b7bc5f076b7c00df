"""The searches of a study as tasks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunekit.engine.loaded import LoadedModel
from prunekit.plugins.commands.study.files import CellFailure, StudyFolder
from prunekit.plugins.commands.study.planning import Group
from prunekit.plugins.commands.study.searching import search_group
from prunekit.plugins.commands.study.tasks import Effort, Tell


@dataclass(frozen=True)
class SearchTask:
    """Groups that are searched one after the other, as they share measurements."""

    groups: tuple[Group, ...]
    folder: Path
    workdir: Path

    @property
    def title(self) -> str:
        """Model, objectives and draw."""
        first = self.groups[0]
        objectives = ", ".join(group.objective for group in self.groups)
        return f"{first.model}, {objectives}, draw {first.draw}"

    def run(self, loaded: LoadedModel, tell: Tell) -> Effort:
        """Search all cells that have no result yet."""
        effort, steps = Effort(), _Steps(tell)
        for group in self.groups:
            effort += search_group(group, StudyFolder(self.folder), self.workdir, loaded, steps)
            steps.go_on()
        return effort

    def abandon(self, reason: str) -> Effort:
        """The cells that have no result failed."""
        folder = StudyFolder(self.folder)
        for group in self.groups:
            for cell in group.unfinished(folder).cells:
                folder.write_cell(CellFailure(cell, reason))
        return Effort()


def search_tasks(groups: Sequence[Group], folder: Path, workdir: Path) -> list[SearchTask]:
    """One task for each group, but for groups that measure the same under some part.

    Those follow each other, since side by side they would measure the same at once: a mix of
    objectives and its parts, or two labels for one thing.
    """
    bundles: list[tuple[set[Hashable], list[Group]]] = []
    for group in groups:
        journals = _journals(group)
        together = [bundle for bundle in bundles if bundle[0] & journals]
        bundles = [bundle for bundle in bundles if bundle not in together]
        merged = [g for _, those in together for g in those]
        bundles.append((journals.union(*(keys for keys, _ in together)), [*merged, group]))
    return [SearchTask(tuple(those), folder, workdir) for _, those in bundles]


def _journals(group: Group) -> set[Hashable]:
    """What tells the journals of a group from others."""
    plan = group.plan
    return {(plan.spec, repr(objective)) for objective, _ in plan.parts} if plan else set()


class _Steps:
    """Adds what a group says of itself to what the groups before it did."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._before = self._last = 0.0

    def __call__(self, done: float) -> None:
        self._last = done
        self._tell(self._before + done)

    def go_on(self) -> None:
        """The next group begins."""
        self._before, self._last = self._before + self._last, 0.0
