"""Recognise models that do not predict the next token, by the class that saved them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prunekit.hf.checkpoint import loaded_as

if TYPE_CHECKING:
    from transformers import PretrainedConfig

KINDS = {
    r"SequenceClassification|Reward|Scor(er|ing)": "a classifier or reward model",
    r"(Token|Image|Audio|Video)Classification": "a classifier",
    r"QuestionAnswering|MultipleChoice|NextSentence": "a model that chooses answers",
}
"""What the name of a class says, if it is not the class that is loaded."""


def other_kind(config: PretrainedConfig) -> str:
    """Return what a model is if it does not predict the next token; empty if it may.

    >>> from transformers import LlamaConfig
    >>> other_kind(LlamaConfig(architectures=["LlamaForSequenceClassification"]))
    'a classifier or reward model, LlamaForSequenceClassification'
    >>> other_kind(LlamaConfig(architectures=["LlamaForCausalLM"]))
    ''
    """
    written_by = ", ".join(config.architectures or ()) or f"model type {config.model_type!r}"
    _, own = loaded_as(config)
    own = own.rpartition(".")[-1]  # a class of the model's own code comes with its module
    if own and own in (config.architectures or ()):
        return ""
    for pattern, kind in KINDS.items():
        if re.search(pattern, written_by):
            return f"{kind}, {written_by}"
    if config.is_encoder_decoder:
        return f"an encoder-decoder, {written_by}"
    return "" if own else f"no language model that transformers loads, {written_by}"


def misfit(config: PretrainedConfig) -> str:
    """Explain why weights may not fit: another class saved them, or they are damaged."""
    _, own = loaded_as(config)
    written_by = ", ".join(config.architectures or ())
    if not written_by or own in written_by:
        return "the checkpoint is damaged or belongs to another model"
    return (
        f"config.json says that it was saved as {written_by}, and it is read as {own}, which "
        "predicts tokens; give the language model with its head"
    )
