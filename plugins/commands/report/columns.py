"""The columns of the data frame of a study's runs."""

from __future__ import annotations

GRID = ("models", "objectives", "searchers", "budgets", "seeds", "draws")
CELL = ("model", "objective", "searcher", "budget", "seed", "draw")
FINALISTS = ("held_out", "stability")
"""what is known of finalists: a HeldOut and a Stability, or None"""
RECORDS = (*FINALISTS, "improvements")
"""columns of the runs that hold no numbers"""
LOSSES = ("loss", "dense_loss", "difference")
RESULT = (
    *("removed", "n_blocks", "unit", *LOSSES, "standard_error", "asked", "block_runs"),
    *("block_runs_unshared", "seconds", "parameters", "parameters_removed", "signals"),
)
AVERAGED = (
    *("accuracy", "perplexity", "loss", "difference", "asked", "block_runs"),
    *("block_runs_unshared", "seconds"),
)
