"""The contract of a repair."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.core.errors import one_line
from prunekit.core.repair import Cut, Patch, Repair, check_patches
from prunekit.testing.contract import Checker, ContractError, silent
from prunekit.testing.cuts import WIDTH, Case, cases
from prunekit.testing.patched_model import check_on_model
from prunekit.testing.repeat import elsewhere, no_outside_chance, other_circumstances

if TYPE_CHECKING:
    from torch import Tensor

MANY = 100
"""Patches for a cut that are too many: each is compared on other tokens."""
PRECISION = 1e-3
"""Relative to the largest entry of a matrix; sums in another order differ by less."""
Plain: TypeAlias = list[tuple[float, list[list[float]] | None]]
"""The patches of a cut as plain numbers."""


def check_repair(repair: Repair) -> None:
    """Raise ContractError unless the repair keeps its contract on made-up cuts and a demo model.

    At each cut it must yield at least one patch, and one that changes something where blocks add
    much: with as few tokens as `tokens_needed` says, with one token a thousand times as large, and
    where a channel is never written. Patches must be finite, in 32 bits or more, of the width of
    the stream and without gradients; the same again, in another order of cuts and in another
    process. A demo model with chosen patches must predict the same run block by block and with them
    folded into its weights. The repair must change neither itself nor the cut, must be picklable,
    must write nothing to standard output, nor import anything heavy with its module.
    """
    checker = Checker("repair", repair)
    checker.check_class()
    checker.check_copies()
    _check_pickles(checker)
    with silent(checker), checker.unchanged():
        _check_needs(checker, repair)
        for case in cases(repair.tokens_needed(WIDTH)):
            _check_cut(checker, repair, case)
        _check_same_again(checker, repair)
        check_on_model(checker, repair)


def _check_pickles(checker: Checker) -> None:
    try:
        pickle.dumps(vars(checker.plugin))
    except Exception as error:
        raise ContractError(
            f"{checker.who} cannot be pickled ({one_line(error)}), as it is sent to where models "
            "are loaded; make what it holds inside its methods"
        ) from error


def _check_needs(checker: Checker, repair: Repair) -> None:
    for width in (WIDTH, 96, 4096):
        with checker.doing("saying how many tokens it needs"):
            needed = repair.tokens_needed(width)
        checker.require(
            type(needed) is int and needed >= 1,
            f"needs {needed!r} tokens for a stream of width {width:,}; expected a whole number "
            "from 1 on",
        )


def _check_cut(checker: Checker, repair: Repair, case: Case) -> None:
    given = _copied(case.cut)
    with checker.doing(f"making patches for a cut {case.words}"):
        patches = _patches(repair, given)
    changed = [name for name in vars(given) if not _equal(case.cut, given, name)]
    checker.require(
        not changed,
        f"changes `{', '.join(changed)}` of the cut that it is given, which other cuts share; use "
        "no operations in place",
    )
    _check_form(checker, patches, case)


def _copied(cut: Cut) -> Cut:
    return Cut(cut.before.clone(), cut.fed.clone(), cut.after.clone())


def _equal(cut: Cut, other: Cut, name: str) -> bool:
    import torch

    return torch.equal(getattr(cut, name), getattr(other, name))


def _patches(repair: Repair, cut: Cut) -> list[Any]:
    """Return what it yields, as a search asks for it: without gradients; not more than `MANY`."""
    import torch

    with torch.no_grad():
        return list(itertools.islice(repair.patches(cut), MANY + 1))


def _check_form(checker: Checker, patches: Sequence[Any], case: Case) -> None:
    checker.require(
        len(patches) <= MANY,
        f"yields more than {MANY} patches for one cut, each of which is compared on other tokens; "
        "yield a few strengths",
    )
    try:
        found = check_patches(patches, WIDTH)
    except (TypeError, ValueError) as error:
        raise ContractError(f"{checker.who}, for a cut {case.words}: {error}") from error
    for patch in found:
        if patch.matrix is not None:
            _check_matrix(checker, patch.matrix)
    checker.require(
        "add as much" not in case.words or any(patch.changes for patch in found),
        f"yields nothing but `Patch()`, which changes nothing, for a cut {case.words}",
    )


def _check_matrix(checker: Checker, matrix: Tensor) -> None:
    checker.require(
        matrix.dtype.itemsize >= 4,
        f"yields a matrix in {str(matrix.dtype).removeprefix('torch.')}; compute in float32 or "
        "float64, it is rounded to the dtype of the model later",
    )
    checker.require(
        not matrix.requires_grad,
        "yields a matrix that requires gradients, which no file can hold; `.detach()` it",
    )


def _check_same_again(checker: Checker, repair: Repair) -> None:
    needed = repair.tokens_needed(WIDTH)
    first = all_patches(repair, needed)  # imports libraries, which may draw too
    with no_outside_chance(checker, "a torch.Generator of its own with a fixed seed"):
        again = all_patches(repair, needed)
    _require_same(
        checker,
        (first, again),
        "when the same cut is given again: draw nothing, or from a torch.Generator with a fixed "
        "seed",
    )
    with other_circumstances(seed=17):
        hastily = all_patches(repair, needed)
    _require_same(
        checker, (first, hastily), "when the clock runs faster: bound it by steps, not by time"
    )
    _require_same(
        checker,
        (first, all_patches(repair, needed, backwards=True)),
        "when other cuts come before: a patch depends on its own cut alone",
    )
    with checker.doing("making patches in another process"):
        there = elsewhere(checker, all_patches, needed)
    _require_same(
        checker,
        (first, there or first),
        "in another process: derive nothing from hash() or id(), or from the order of a set",
    )


def all_patches(repair: Repair, needed: int, backwards: bool = False) -> list[Plain]:
    """Return the patches of all cuts as plain numbers, here or in another process."""
    step = -1 if backwards else 1
    made_up = list(cases(needed))[::step]
    found = [[_plain(patch) for patch in _patches(repair, case.cut)] for case in made_up]
    return found[::step]


def _plain(patch: Patch) -> tuple[float, list[list[float]] | None]:
    return float(patch.scale), None if patch.matrix is None else patch.matrix.tolist()


def _require_same(checker: Checker, runs: tuple[list[Plain], list[Plain]], when: str) -> None:
    counts = [[len(plain) for plain in run] for run in runs]
    pairs = zip(*(itertools.chain(*run) for run in runs), strict=False)
    checker.require(
        counts[0] == counts[1] and all(_alike(*pair) for pair in pairs),
        f"yields other patches {when}",
    )


def _alike(one: Any, other: Any) -> bool:
    """Compare the numbers of two patches up to rounding."""
    import torch

    (scale, matrix), (other_scale, other_matrix) = one, other
    if (matrix is None) != (other_matrix is None):
        return False
    if abs(scale - other_scale) > PRECISION * scale:
        return False
    if matrix is None:
        return True
    mine, theirs = torch.tensor(matrix), torch.tensor(other_matrix)
    allowed = PRECISION * float(mine.abs().max())
    return mine.shape == theirs.shape and torch.allclose(mine, theirs, rtol=0, atol=allowed)
