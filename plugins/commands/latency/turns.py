"""The names that the command line imports from here."""

from prunekit.plugins.commands.latency.benchmark import Spread as Spread
from prunekit.plugins.commands.latency.benchmark import Workload as Workload
