"""What type checkers and editors see of the package is what it has."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import prunekit
from prunekit.engine.config import Settings

FILE = Path(prunekit.__file__).with_name("__init__.pyi")


def test_the_stub_is_that_of_the_functions():
    """If not, run the command in tests/stub.py."""
    script = [sys.executable, str(Path(__file__).with_name("stub.py"))]
    made = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert ast.dump(ast.parse(FILE.read_text())) == ast.dump(ast.parse(made))


def test_help_shows_every_setting_of_a_search():
    parameters = inspect.signature(prunekit.search).parameters
    assert set(vars(Settings())) <= set(parameters)
    assert parameters["finalists"].default == 5
    assert parameters["plugins"].kind is inspect.Parameter.VAR_KEYWORD


def test_what_a_function_does_not_take_is_not_in_its_signature():
    assert "finalists" not in inspect.signature(prunekit.curve).parameters
    assert "searcher" not in inspect.signature(prunekit.export).parameters
    assert inspect.signature(prunekit.draft).parameters["objective"].default == "agree"
