"""What reading a checkpoint back has shown: the numbers that were compared, and in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """A checkpoint was loaded by stock transformers, and predicts what the pruned model does.

    Predictions are logits; they agree up to rounding in `dtype`, or nothing was written.
    """

    transformers: str
    """its version"""
    dtype: str
    device: str
    tokens: int
    """in the probe that both models read"""
    difference: float
    """the largest, from the model itself with the blocks bypassed"""
    cache_difference: float | None
    """the largest between predictions with a cache and without, at each step of a generation; None
    if the model's context leaves nothing to generate"""
    repaired: bool = False
    """whether the weights hold patches"""
    trained: bool = False
    """whether it was trained; then it is compared with the model in memory, not with bypassing"""

    @property
    def words(self) -> str:
        """Say what was shown.

        >>> Proof("5.0", "float32", "cpu", 24, 0.0, 2e-6).words
        'read back with transformers 5.0 in float32: on 24 tokens the logits are those with the \
blocks bypassed (largest difference 0), and generated with a cache those without (2e-06)'
        """
        read = f"read back with transformers {self.transformers} in {self.dtype}"
        like = "of the model in memory" if self.trained else "with the blocks bypassed"
        same = f"on {self.tokens} tokens the logits are those {like}"
        same += " and their cuts patched" * self.repaired
        said = f"{read}: {same} (largest difference {self.difference:.2g})"
        if self.cache_difference is None:
            return said
        return f"{said}, and generated with a cache those without ({self.cache_difference:.2g})"
