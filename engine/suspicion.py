"""Flag a pruned model whose loss is better than the dense model's."""

from __future__ import annotations

from prunekit.engine.reading import Difference

ERRORS = 2.0
"""A difference of this number of standard errors has a chance of about 2% of its own."""
ROUNDING = 1e-5
"""In float32 a loss is no more exact than this."""
PROPER = "choice"
"""An objective that a model cannot improve by spreading likelihoods apart."""


def suspicion(difference: Difference, unit: str, objective: str = "") -> str:
    """Return a sentence if a pruned model beats the dense one; empty if it does not.

    `difference` is the loss of the pruned model minus that of the dense one, on the same samples.
    It must be below minus two standard errors, and no mere rounding; one without a standard error
    is not judged.
    """
    value, error = difference.value, difference.standard_error
    if value is None or error is None or value >= -max(ERRORS * error, ROUNDING):
        return ""
    other = "" if objective == PROPER else f", or search with --objective {PROPER}"
    return (
        f"the pruned model beats the dense one by {-value:.2g} ± {error:.2g} {unit}: a loss that "
        f"can be gamed, or chance; evaluate held-out data before you trust it{other}"
    )
