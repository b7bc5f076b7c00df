"""The built-in commands, a package each."""
