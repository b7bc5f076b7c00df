"""Commands as a user types them."""

import sys

import pytest

from prunekit.cli.main import main


@pytest.fixture
def prunekit(monkeypatch, capsys, tmp_path):
    """Type a command; get its exit status and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["prunekit", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        return status, out, err

    return run
