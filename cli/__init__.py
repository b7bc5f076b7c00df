"""The `prunekit` command: flags in, tables out, no logic."""
