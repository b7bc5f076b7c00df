"""Does a lower perplexity mean a higher accuracy? (Figure 2 of the study)"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.correlation import RankComparison, compare_ranks
from prunekit.plugins.commands.report.measures import Condition, conditions
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import GREY, searcher_key, searcher_looks
from prunekit.plugins.commands.report.wording import count, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "ranks", "Perplexity rank against accuracy rank"


def ranks(study: Study) -> Picture | LeftOut:
    """A panel for each objective, budget and model, with Spearman's rho."""
    if not study.tasks or not study.protocols:
        missing = "accuracy" if not study.tasks else "perplexity"
        return LeftOut(NAME, TITLE, f"no variant's {missing} was evaluated")
    found = {c: compare_ranks(study, c) for c in conditions(study)}
    shown = {c: comparison for c, comparison in found.items() if comparison is not None}
    if not shown:
        reason = "nowhere do three searchers have both an accuracy and a perplexity"
        return LeftOut(NAME, TITLE, reason)
    rows = [
        [
            _panel(study, c, shown[c]) if (c := Condition(m, o, k)) in shown else None
            for m in study.models
        ]
        for o in study.objectives
        for k in study.budgets
    ]
    return Picture(
        NAME,
        TITLE,
        _sentence(list(shown.values())),
        "Rank 1 is best; on the dotted line both ranks agree. Searchers that tie share a rank and "
        "are drawn side by side. p is the share of all orders that correlate as strongly; those "
        "that chose the same blocks tie by necessity, of which p takes no account.",
        without_gaps(rows),
        (2.9, 2.6),
        searcher_key(study.searchers),
    )


def _sentence(comparisons: list[RankComparison]) -> str:
    rhos = [c.rho for c in comparisons if c.rho is not None]
    if not rhos:
        return "All searchers tie, so that there is no rank to correlate."
    strong = sum(c.p is not None and c.p < 0.05 for c in comparisons)
    tied = len(comparisons) - len(rhos)
    negative = sum(rho < 0 for rho in rhos)
    return (
        f"Spearman's ρ goes from {min(rhos):+.2f} to {max(rhos):+.2f}, with a median of "
        f"{median(rhos):+.2f}; it is negative in {negative} of {count(len(rhos), 'condition')}, "
        f"and in {strong} so strong that fewer than 5% of all orders would reach it"
        + (f" (in {tied} more all searchers tie)." if tied else ".")
    )


def _panel(study: Study, condition: Condition, found: RankComparison) -> Panel:
    budget = together("k =", condition.budget)
    where = f"{study.short[condition.model]}, {condition.objective}, {budget}"
    rho = "ρ undefined: all tie" if found.rho is None else f"ρ = {found.rho:+.2f}, {_chance(found)}"
    places = ", ".join(
        f"{s} {x:g} and {y:g}"
        for s, x, y in zip(found.searchers, found.perplexity, found.accuracy, strict=True)
    )
    alt = f"{where}: {rho}. Ranks by perplexity and by accuracy: {places}"
    return Panel(f"{where}\n{rho}", alt, partial(_draw, study, found))


def _chance(found: RankComparison) -> str:
    p = 1.0 if found.p is None else found.p
    return f"p = {p:.2f}" if p >= 0.01 else "p < 0.01"


def _draw(study: Study, found: RankComparison, axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    n = len(found.searchers)
    places = list(zip(found.perplexity, found.accuracy, strict=True))
    axes.plot([1, n], [1, n], ":", color=GREY, linewidth=1, zorder=1)
    for i, (searcher, (x, y)) in enumerate(zip(found.searchers, places, strict=True)):
        same = [j for j, place in enumerate(places) if place == (x, y)]
        aside = 0.3 * (same.index(i) - (len(same) - 1) / 2)
        axes.plot(x + aside, y, **looks[searcher], linestyle="none")
    ticks = range(1, n + 1)
    axes.set(xlim=(0.4, n + 0.6), ylim=(n + 0.6, 0.4), xticks=ticks, yticks=ticks)
    axes.set(xlabel="perplexity rank (1 = lowest)", ylabel="accuracy rank (1 = highest)")
    axes.grid(True)
