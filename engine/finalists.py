"""Choose among the best subsets of a search on held-out samples, which no search saw.

A search finds the optimum of its calibration set, and the more it asks for, the better that subset
fits the very samples. So the best few subsets of a search, its finalists, are measured again on
other samples, together with what rankings choose that cost one forward pass.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from prunekit.core.driver import Driver, check_problem, needs_of
from prunekit.core.errors import ConfigError, PluginError, Remark
from prunekit.core.interfaces import Searcher
from prunekit.core.options import build
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import Entry, Registry, load
from prunekit.engine.held_out import Finalist, HeldOut, times_held_out
from prunekit.engine.opening import open_session
from prunekit.engine.paired import are_apart
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.plan import Plan
from prunekit.engine.reading import Difference
from prunekit.engine.session import MixedSession, Session
from prunekit.engine.signals import check_measurable

NOTHING_HELD_OUT = "no samples are held out, so the choice rests on its calibration set alone"


def held_out_plan(plan: Plan, times: int) -> Plan | None:
    """Return the plan on held-out samples, without a race; None if an objective has none."""
    parts = []
    for objective, weight in plan.parts:
        other = objective.held_out(times)
        if other is None:
            return None
        parts.append((other, weight))
    objective = plan.objective if plan.is_mix else parts[0][0]
    settings = replace(plan.config.settings, race_deviations=0.0)
    config = replace(plan.config, settings=settings)
    return replace(plan, config=config, objective=objective, parts=tuple(parts))


def rankings(registry: Registry) -> list[Entry]:
    """Return the searchers that take one forward pass and no losses."""
    return [e for e in registry.entries if e.kind == "searcher" and e.cls.one_pass]


def rivals(plan: Plan, session: Session, registry: Registry) -> dict[str, Subset]:
    """Return what each ranking chooses that takes one forward pass and no losses.

    One that does not suit the problem is left out; one that fails is left out with a Remark.
    """
    chosen: dict[str, Subset] = {}
    for entry in rankings(registry):
        name = registry.label(entry)
        searcher: Searcher = build(entry.cls, {}, name)
        if isinstance(plan.searcher, PeriodSearch):
            searcher = replace(plan.searcher, searcher=searcher)
        try:
            chosen[name] = _ranked_first(searcher, plan, session)
        except ConfigError:
            continue
        except PluginError as error:
            warnings.warn(f"{name} is not among the finalists: {error}", Remark, stacklevel=2)
    return chosen


def _ranked_first(searcher: Searcher, plan: Plan, session: Session) -> Subset:
    check_problem(searcher, plan.problem)
    needs = needs_of(searcher)
    check_measurable(needs, plan.objective, [part for part, _ in plan.parts])
    signals = {signal.name: session.signal(signal) for signal in needs}
    driver = Driver(searcher, replace(plan.problem, signals=signals)).run(session.losses)
    assert driver.removed is not None
    return driver.removed


def candidates(
    driver: Driver, name: str, others: Mapping[str, Subset], most: int
) -> dict[Subset, str]:
    """Return the choice of a search, its next best subsets, and other subsets by their names.

    Each comes with who found it first; `most` is the number of those that the search measured.
    """
    assert driver.removed is not None
    measured = [s for s in driver.ranked() if math.isfinite(driver.losses[s])]
    best = list(dict.fromkeys([driver.removed, *measured]))[:most]
    found = {subset: rival for rival, subset in reversed(list(others.items()))}
    return dict.fromkeys(best, name) | {s: who for s, who in found.items() if s not in best}


class Finals:
    """Held-out samples beside those of a session; the first choice among them opens them."""

    def __init__(
        self,
        stack: ExitStack,
        session: Session,
        workdir: Path,
        on_measured: Callable[[float], None] = lambda subsets: None,
    ) -> None:
        """They are open as long as the stack is."""
        self._stack = stack
        self._session = session
        self._workdir = workdir
        self._on_measured = on_measured
        self._held: list[Session] | None = None

    def choose(self, plan: Plan, name: str, driver: Driver, most: int) -> HeldOut | None:
        """Measure the `most` best subsets of a search and the rankings' choices again.

        Returns None for a search that measured nothing, a ranking itself, and, with a Remark, if
        the data has no samples left.
        """
        if not most or not driver.losses or (held := self.opened(plan)) is None:
            return None
        found = candidates(driver, name, rivals(plan, self._session, load()), most)
        assert driver.removed is not None
        return measure_held_out(found, driver.removed, self._session, held)

    def opened(self, plan: Plan) -> Session | None:
        """Return the session on held-out samples; None, with a Remark, if no samples are left.

        A mix keeps the scales of its search.
        """
        if self._held is None:
            self._held = self._open(plan)
        return self._held[0] if self._held else None

    def _open(self, plan: Plan) -> list[Session]:
        held_plan = held_out_plan(plan, times_held_out(self._session.n_samples))
        if held_plan is None:
            warnings.warn(f"{NOTHING_HELD_OUT}: all of the data is used", Remark, stacklevel=2)
            return []
        try:
            opened = open_session(held_plan, self._workdir, self._on_measured)
            held = self._stack.enter_context(opened)
        except ConfigError as error:
            warnings.warn(f"{NOTHING_HELD_OUT}: {error}", Remark, stacklevel=2)
            return []
        if isinstance(held, MixedSession) and isinstance(self._session, MixedSession):
            held.scales = self._session.scales
        return [held]


def measure_held_out(
    found: Mapping[Subset, str], choice: Subset, session: Session, held: Session
) -> HeldOut:
    """Measure candidates on held-out samples; `choice` is that of the search itself."""
    subsets = list(found)
    held_out = dict(zip(subsets, held.losses(subsets), strict=True))
    ranked = sorted(subsets, key=lambda s: (held_out[s], sorted(s)))
    losses = session.losses(ranked)
    behind = [held.difference(subset, ranked[0]) for subset in ranked]
    finalists = zip(ranked, losses, behind, are_apart(behind), strict=True)
    return HeldOut(
        samples=held.n_samples,
        dense=_known(held.losses([DENSE])[0]),
        finalists=tuple(
            Finalist(
                removed=tuple(sorted(subset)),
                found_by=found[subset],
                loss=_known(loss),
                held_out=_known(held_out[subset]),
                behind=difference,
                apart=apart,
            )
            for subset, loss, difference, apart in finalists
        ),
        overfitting=_overfitting(held.difference(choice, DENSE), session.difference(choice, DENSE)),
        above=held.difference(ranked[0], DENSE),
    )


def _known(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _overfitting(held_out: Difference, calibration: Difference) -> Difference:
    """Subtract; the samples of the two are independent."""
    if held_out.value is None or calibration.value is None:
        return Difference(None, None)
    errors = (held_out.standard_error, calibration.standard_error)
    known = [error for error in errors if error is not None]
    error = math.hypot(*known) if len(known) == len(errors) else None
    return Difference(held_out.value - calibration.value, error)
