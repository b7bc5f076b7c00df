"""The options of an evaluation: the same ones as flags, in a study's file and from Python."""

import inspect

import pytest

import prunekit
from prunekit.core.errors import ConfigError
from prunekit.core.options import options_of
from prunekit.core.registry import load_commands
from prunekit.plugins.commands.evaluate.config import EvalConfig, EvalOptions, take_options
from prunekit.plugins.commands.study.eval_section import FIELDS

NAMES = [option.name for option in options_of(EvalOptions)]


@pytest.mark.parametrize("command", ["evaluate", "certify"])
def test_each_is_a_flag_and_an_argument_of_every_command_that_evaluates(command):
    found = load_commands().get("command", command).cls
    assert set(NAMES) <= {option.name for option in options_of(found.options)}
    assert set(NAMES) <= inspect.signature(getattr(prunekit, command)).parameters.keys()


def test_each_is_a_key_of_a_study():
    assert set(NAMES) <= FIELDS.keys()


def test_they_are_taken_out_of_what_was_given_and_converted():
    given = {"limit": "8", "dtype": "float32", "ppl_bos": "every"}
    how = take_options(given)
    assert (how, given) == ({"limit": 8, "ppl_bos": "every"}, {"dtype": "float32"})
    assert EvalConfig(("demo",), **how).ppl_samples is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ppl_bos": "evry"}, "ppl_bos: expected auto.every.none.tokenizer, .*mean 'every'"),
        ({"ppl_samples": 0}, "ppl_samples: 0 is outside 1"),
        ({"ppl_length": 1}, "ppl_length: 1 is outside 2"),
        ({"num_fewshot": -1}, "num_fewshot: -1 is outside 0"),
        ({"apply_chat_template": "perhaps"}, "apply_chat_template: expected bool, got 'perhaps'"),
    ],
)
def test_a_wrong_one_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        take_options(given)
