"""Commands as users type them, on models that are proven once."""

import pytest


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What commands print is the same whether or not a model was proven before."""
