"""Contract checks for plugins, a line each in a test.

Each raises ContractError, an AssertionError, whose message says which promise was broken and what
to change. The built-in plugins are held to the same checks.
"""

from prunekit.testing.adapters import check_adapter
from prunekit.testing.backends import check_backend
from prunekit.testing.contract import ContractError
from prunekit.testing.objectives import check_objective
from prunekit.testing.repairs import check_repair
from prunekit.testing.searchers import check_searcher
from prunekit.testing.toys import toy_loss
from prunekit.testing.trackers import check_tracker

__all__ = [
    "ContractError",
    "check_adapter",
    "check_backend",
    "check_objective",
    "check_repair",
    "check_searcher",
    "check_tracker",
    "toy_loss",
]
