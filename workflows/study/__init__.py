"""Studies: many searches in one go, and what is kept of them."""

from prunekit.workflows.study.run import study as study
