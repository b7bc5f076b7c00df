"""Report failures of a model's own code."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator

from prunekit.core.errors import PrunekitError, UnfitModel, one_line

LONGEST_REASON = 200
"""Maximum length of a quoted error of transformers or of a model's own code."""


@contextlib.contextmanager
def runnable(what: str) -> Iterator[None]:
    """Raise UnfitModel, with `what` and the reason, for any error of the model's own code."""
    try:
        yield
    except PrunekitError:
        raise
    except Exception as error:
        reason = textwrap.shorten(one_line(error), LONGEST_REASON, placeholder=" ...")
        raise UnfitModel(f"{what}: {reason}") from error
