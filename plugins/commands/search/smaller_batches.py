"""Where the device runs out of memory, run fewer tokens at once."""

from __future__ import annotations

import warnings
from dataclasses import replace

from prunekit.core.errors import OutOfMemory, Remark
from prunekit.engine.plan import Plan

LEAST_TOKENS = 64


def with_smaller_batches(plan: Plan) -> Plan:
    """Return the plan with half the tokens at once, and say so. Raises OutOfMemory below 64."""
    tokens = plan.spec.tokens_per_forward // 2
    if tokens < LEAST_TOKENS:
        raise OutOfMemory(
            f"the device ran out of memory even with batches of {2 * tokens} tokens; choose "
            "shorter calibration samples, another --dtype or another --device"
        )
    warnings.warn(
        f"the device ran out of memory; going on with --tokens-per-forward {tokens}, from what was "
        "measured unless the model is in 16 bits",
        Remark,
        stacklevel=3,
    )
    settings = replace(plan.config.settings, tokens_per_forward=tokens)
    spec = replace(plan.spec, tokens_per_forward=tokens)
    return replace(plan, config=replace(plan.config, settings=settings), spec=spec)
