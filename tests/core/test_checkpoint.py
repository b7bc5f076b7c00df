"""What users are told when a model cannot be had."""

import pytest

from prunekit.core import CheckpointError
from prunekit.core.checkpoint import Checkpoint, readable


def named(name, cause=None):
    error = type(name, (Exception,), {})("first line\nsecond line")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (named("GatedRepoError"), "ask for access on its page, then run `hf auth login`"),
        (OSError("x"), "cannot be loaded: OSError: x"),
        (named("OSError", named("GatedRepoError")), "a gated model"),
        (named("OSError", named("RepositoryNotFoundError")), "not on the hub under this name"),
        (named("OSError", named("LocalEntryNotFoundError")), "`hf download some/model`"),
        (named("SafetensorError"), "broken or cut short (SafetensorError: first line)"),
        (ValueError("please pass trust_remote_code=True"), "then add --trust-remote-code"),
    ],
)
def test_every_failure_has_its_next_step(error, advice):
    with pytest.raises(CheckpointError) as caught, readable(Checkpoint("some/model")):
        raise error
    assert str(caught.value).startswith("some/model: ")
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
