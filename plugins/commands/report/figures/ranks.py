"""The figure of ranks: does a lower perplexity go with a higher accuracy?"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure
from prunekit.plugins.commands.report.measures import (
    ACCURACY,
    PERPLEXITY,
    Condition,
    conditions,
    points,
)
from prunekit.plugins.commands.report.ranks import RankComparison, compare_ranks
from prunekit.plugins.commands.report.style import GREY, searcher_looks
from prunekit.plugins.commands.report.telling import alike
from prunekit.plugins.commands.report.wording import count, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@figure("Perplexity rank against accuracy rank")
def ranks(study: Study) -> Picture | str:
    """Draw a panel for each objective, budget and model, with Spearman's rho (Figure 2)."""
    if not study.tasks or not study.protocols:
        return f"no variant's {'perplexity' if study.tasks else 'accuracy'} was evaluated"
    found = {c: comparison for c in conditions(study) if (comparison := compare_ranks(study, c))}
    if not found:
        return "nowhere do three searchers have both an accuracy and a perplexity"

    def panel(row: tuple[str, int], model: str) -> Panel | None:
        condition = Condition(model, *row)
        return _ranks_panel(study, condition, found[condition]) if condition in found else None

    return Picture(
        _ranks_sentence(list(found.values())),
        "Rank 1 is best; on the dotted line both ranks agree. Searchers that tie share a rank and "
        "are drawn side by side. ρ and p count searchers that always chose the same blocks as one; "
        "p is the share of all orders that correlate as strongly. Hollow marks have no rank of "
        "their own: their accuracy or perplexity and the best one cannot be told apart at 5%.",
        facets([(o, k) for o in study.objectives for k in study.budgets], study.models, panel),
        (2.9, 2.6),
        searcher_looks(study.searchers),
    )


def _ranks_sentence(comparisons: Sequence[RankComparison]) -> str:
    rhos = [c.rho for c in comparisons if c.rho is not None]
    if not rhos:
        return "All searchers tie or choose alike, so that there is no rank to correlate."
    strong = sum(c.p is not None and c.p < 0.05 for c in comparisons)
    tied = len(comparisons) - len(rhos)
    negative = sum(rho < 0 for rho in rhos)
    return (
        f"Spearman's ρ goes from {min(rhos):+.2f} to {max(rhos):+.2f}, with a median of "
        f"{median(rhos):+.2f}; it is negative in {negative} of {count(len(rhos), 'condition')}, "
        f"and in {strong} so strong that fewer than 5% of all orders would reach it"
        + (f" (in {tied} more all tie, or fewer than three choose differently)." if tied else ".")
    )


def _ranks_panel(study: Study, c: Condition, found: RankComparison) -> Panel:
    where = f"{study.short[c.model]}, {c.objective}, {together('k =', c.budget)}"
    p = 1.0 if found.p is None else found.p
    chance = f"p = {p:.2f}" if p >= 0.01 else "p < 0.01"
    rho = "ρ undefined" if found.rho is None else f"ρ = {found.rho:+.2f}, {chance}"
    if found.distinct < len(found.searchers):
        rho += f"\nof {count(found.distinct, 'distinct choice')}"
    ranked = zip(found.searchers, found.perplexity, found.accuracy, strict=True)
    places = ", ".join(f"{s} {x:g} and {y:g}" for s, x, y in ranked)
    alt = f"{where}: {rho}. Ranks by perplexity and by accuracy: {places}"
    return Panel(f"{where}\n{rho}", alt, partial(_ranks, study, found, _unranked(study, c)))


def _unranked(study: Study, condition: Condition) -> set[str]:
    """Return the best and the searchers that do not differ significantly from it."""
    found: set[str] = set()
    for measure in (ACCURACY, PERPLEXITY):
        if same := alike(study, condition, measure.column, measure.more_is_better):
            means = points(study, measure.column, **condition._asdict())["mean"]
            found |= {*same, *means.index[means == measure.best(means)]}
    return found


def _ranks(study: Study, found: RankComparison, hollow: Container[str], axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    n = len(found.searchers)
    places = list(zip(found.perplexity, found.accuracy, strict=True))
    axes.plot([1, n], [1, n], ":", color=GREY, linewidth=1, zorder=1)
    for i, (searcher, (x, y)) in enumerate(zip(found.searchers, places, strict=True)):
        same = [j for j, place in enumerate(places) if place == (x, y)]
        aside = 0.3 * (same.index(i) - (len(same) - 1) / 2)
        look = looks[searcher]
        if searcher in hollow:
            colour = look["color"]
            look |= {"markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": 1.4}
        axes.plot(x + aside, y, **look)
    ticks = range(1, n + 1)
    axes.set(xlim=(0.4, n + 0.6), ylim=(n + 0.6, 0.4), xticks=ticks, yticks=ticks)
    axes.set(xlabel="perplexity rank (1 = lowest)", ylabel="accuracy rank (1 = highest)")
    axes.grid(True)
