"""Open the session of a group, checked against the plan and the first run of the study."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.errors import CheckpointError, ConfigError, StorageError
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan
from prunekit.engine.run import check_dense
from prunekit.engine.session import Session
from prunekit.engine.study_folder import StudyFolder
from prunekit.plugins.commands.study.origin import check_origin, threads_of_first_run
from prunekit.plugins.commands.study.tasks import LoadedModel

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group


@contextmanager
def open_group(
    group: Group,
    folder: StudyFolder,
    workdir: Path,
    loaded: LoadedModel,
    on_measured: Callable[[float], None],
) -> Iterator[Session]:
    """Open the session that the searches of a group share; a model is loaded, or refused, once.

    Raises a PrunekitError unless the model is as planned and as when the study began, and works.
    """
    plan = group.plan
    if plan is None or plan.spec in loaded.refused:
        raise CheckpointError(loaded.refused[plan.spec] if plan else group.reason)
    loaded.make_room_for(plan.spec)
    with ExitStack() as stack:
        settle = stack.enter_context(threads_of_first_run(folder.path))
        try:
            session = stack.enter_context(open_session(plan, workdir, on_measured))
        except CheckpointError as error:
            loaded.refused[plan.spec] = str(error)
            raise
        except StorageError as error:  # a journal that cannot be read is of this group alone
            raise ConfigError(str(error)) from error
        loaded.keep(plan.spec, session.adapter)
        settle(session.facts.fingerprint)
        _check(session, plan, group, folder)
        yield session


def _check(session: Session, plan: Plan, group: Group, folder: StudyFolder) -> None:
    found, planned = session.facts.n_blocks, plan.problem.n_blocks
    if found != planned:
        raise ConfigError(
            f"{group.model}: it has {found} blocks, the `config` given for it says {planned}; "
            "correct that or leave it out"
        )
    check_origin(folder.path, group.model, session.facts, plan.spec.tokens_per_forward)
    check_dense(session, plan.spec.model)


def bundled(groups: Sequence[Group]) -> list[list[Group]]:
    """Put groups together that share measurements.

    Side by side they would measure the same at once: a mix of objectives and its parts, or two
    labels for one thing.
    """
    bundles: list[tuple[set[Hashable], list[Group]]] = []
    for group in groups:
        journals = _journals(group)
        together = [bundle for bundle in bundles if bundle[0] & journals]
        bundles = [bundle for bundle in bundles if bundle not in together]
        merged = [g for _, those in together for g in those]
        bundles.append((journals.union(*(keys for keys, _ in together)), [*merged, group]))
    return [those for _, those in bundles]


def _journals(group: Group) -> set[Hashable]:
    """Return what identifies the journals of a group."""
    plan = group.plan
    return {(plan.spec, repr(objective)) for objective, _ in plan.parts} if plan else set()
