"""Which blocks to remove so that the pruned model is the best draft of its own dense model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import Interrupted
from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.engine.alone import alone_in
from prunekit.engine.arguments import takes
from prunekit.engine.budgets import BudgetSearch
from prunekit.engine.config import Settings
from prunekit.engine.drafted import Drafted
from prunekit.engine.files import check_target, check_writable, write_text
from prunekit.engine.known import load_known
from prunekit.engine.opening import open_session
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import name_of
from prunekit.engine.quiet import quietly
from prunekit.engine.variant import check_weights
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import resolve_device
from prunekit.hf.reading import dtype_name
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.draft.bench import Bench
from prunekit.plugins.commands.draft.options import OF_SEARCHES, Drafting
from prunekit.plugins.commands.draft.plan import DraftPlan, prepare
from prunekit.plugins.commands.draft.result import (
    Candidate,
    DraftResult,
    NoDraftPays,
    verdict_on,
)
from prunekit.plugins.commands.draft.texts import Assisted
from prunekit.plugins.commands.draft.writing import write_draft

FOLDER, FILE = "drafts", "draft.json"


@takes(Drafting, Settings, settings=OF_SEARCHES, plugins=True, objective="agree")
@quietly()
def draft(
    model: str | None = None,
    *,
    to: str | Path | None = None,
    run: str | Path | None = None,
    remove: Iterable[int] | None = None,
    budget: int | None = None,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **given: Any,
) -> DraftResult:
    """Compare pruned variants of `model` as drafts of it, and write the best to the folder `to`.

    Speculative decoding lets a draft propose tokens that its target checks (arXiv 2211.17192). The
    variants are what a search finds at each of several `budgets`; or the one without the blocks
    `remove`, or that a `run` chose. `given` may hold the fields of `Drafting`, as `lookahead="4"`;
    and the words of a search, as `objective="accept"`. The best is tried: the dense model writes
    with it, and must write what it writes alone. What was measured is kept under `workdir`, so that
    a call repeated after a stop goes on where it was.

    Raises NoDraftPays if no draft is predicted to be faster than the dense model and none was named
    by `run`, `remove` or a single budget: then nothing is written. Raises PrunekitError, whose
    message says what to do.
    """
    target = None if to is None else Path(to)
    if target is not None:
        check_target(target)
    check_writable(Path(workdir))
    plan = prepare(model, run, remove, budget, target, Path(workdir), given)
    try:
        with reporting(progress) as shown:
            result = _Comparison(plan, target, shown).result()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped. What was measured is saved in {workdir}; run the same command again to go on"
        ) from None
    if target is not None and not result.saved:
        raise NoDraftPays(
            f"{verdict_on(result)}. Nothing was written; name a draft, as --budgets "
            f"{result.best}, to have it all the same",
            result,
        )
    return result


class _Comparison:
    """One comparison, from the search to the checkpoint."""

    def __init__(self, plan: DraftPlan, to: Path | None, progress: Progress) -> None:
        self.plan = plan
        self.to = to
        self.progress = progress

    def result(self) -> DraftResult:
        choices = self._choices()
        checkpoint = find(self.plan.tried, load())
        self.progress.begin("loading the model")
        adapter = load_known(self.plan.tried, self.plan.workdir, load())
        named = self.plan.named and self.plan.named.run
        weights = adapter.facts.fingerprint["weights"]
        check_weights(weights, named.result if named else None, self.plan.spec.model)
        place = self.plan.workdir / FOLDER
        bench = Bench(adapter, checkpoint, self.plan.drafting, place, self.progress)
        with alone_in(bench.folder):
            candidates = [
                bench.candidate(
                    dense_and_pruned(adapter, removed), removed, self.plan.lookaheads, on_text
                )
                for removed, on_text in choices.items()
            ]
            best = max(candidates, key=lambda candidate: candidate.best.speedup)
            dense = dense_and_pruned(adapter, frozenset(best.removed))
            dtype, n_blocks = dtype_name(dense[0].dtype), adapter.facts.n_blocks
            is_written = self.to is not None and (self.plan.is_named or best.best.speedup > 1)
            if is_written:
                del adapter, dense  # to free memory for the models that are read back
                drafted = self._written(bench, best, dtype)
            else:
                drafted = self._drafted(bench, best, dense, dtype, "in-memory")
            result = self._described(bench, candidates, best, drafted, weights, n_blocks)
            write_text(bench.folder / FILE, result.to_json())
        return result

    def _choices(self) -> Mapping[Subset, float | None]:
        """Return the drafts to compare, with what the objective says of each on its text."""
        if self.plan.named:
            return {self.plan.named.removed: None}
        search = BudgetSearch(self.plan.searches, self.progress)
        self.progress.begin("loading the model")
        with open_session(search.plan, self.plan.workdir, search.run.on_measured) as session:
            found = list(search.choices(session, "the comparison").values())
            losses = session.losses(found)
        return dict(zip(found, (1 - loss for loss in losses), strict=True))

    def _written(self, bench: Bench, best: Candidate, dtype: str) -> Drafted:
        assert self.to is not None

        def tried(models: tuple[Any, Any], which: str) -> Drafted:
            return self._drafted(bench, best, models, dtype, which)

        return write_draft(self.plan, frozenset(best.removed), self.to, tried)

    def _drafted(
        self, bench: Bench, best: Candidate, models: tuple[Any, Any], dtype: str, which: str
    ) -> Drafted:
        """Try the best draft; `which` names its weights."""
        ahead, removed = best.best, frozenset(best.removed)
        texts = bench.assisted(models, removed, ahead.lookahead, which)
        searcher, objective = self.plan.chosen_by
        return Drafted(
            lookahead=ahead.lookahead,
            agreement=best.agreement,
            cost=best.cost.median,
            formula=ahead.formula,
            predicted=ahead.predicted,
            measured=sum(text.tokens for text in texts) / sum(text.forwards for text in texts),
            speedup=ahead.speedup,
            measured_speedup=_by_the_clock(texts),
            prompts=len(texts),
            same=sum(text.gap is None for text in texts),
            largest_gap=max((text.gap for text in texts if text.gap is not None), default=None),
            tokens=sum(text.tokens for text in texts),
            data=name_of(self.plan.drafting.prompts),
            dtype=dtype,
            device=resolve_device(self.plan.tried.device),
            searcher=searcher,
            objective=objective,
        )

    def _described(
        self,
        bench: Bench,
        candidates: Sequence[Candidate],
        best: Candidate,
        drafted: Drafted,
        weights: str,
        n_blocks: int,
    ) -> DraftResult:
        import torch

        is_saved = self.to is not None and self.to.exists()
        return DraftResult(
            model=self.plan.spec.model,
            weights=weights,
            n_blocks=n_blocks,
            searcher=drafted.searcher,
            objective=drafted.objective,
            candidates=tuple(candidates),
            best=best.budget,
            drafted=drafted,
            saved=str(self.to) if is_saved else "",
            prompts=self.plan.drafting.prompts,
            new_tokens=self.plan.drafting.new_tokens,
            dtype=drafted.dtype,
            device=drafted.device,
            threads=torch.get_num_threads(),
            versions=versions(),
            folder=str(bench.folder),
        )


def _by_the_clock(texts: Sequence[Assisted]) -> float:
    """Return the median ratio of speeds, as each text was written twice in a row."""
    return median((text.seconds_alone / text.seconds) for text in texts)
