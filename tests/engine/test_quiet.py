"""Other libraries are quiet while prunekit works for somebody's program, and as before after it."""

import os
import subprocess
import sys
import warnings

import pytest

from prunekit.core.errors import Remark
from prunekit.engine.quiet import QUIET, show_remarks

PROGRAM = """
import sys
{first}
import prunekit
ppl = {{"samples": 1, "length": 24, "data": "demo"}}  # of one sample there is no remark
prunekit.search(sys.argv[1], searcher="one-shot", ppl=ppl)
prunekit.export(sys.argv[1], remove=[1], to="pruned")
import logging, os
import datasets, huggingface_hub.utils as hub, transformers
print(
    transformers.utils.logging.is_progress_bar_enabled(),
    not hub.are_progress_bars_disabled(),
    not datasets.are_progress_bars_disabled(),
    logging.getLogger("transformers").getEffectiveLevel() == logging.WARNING,
    not set({names}) & set(os.environ),
)
print("now the user's own", file=sys.stderr)
transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])
"""


@pytest.mark.parametrize("first", ["", "import transformers, datasets"])
def test_the_users_own_bars_come_back(tiny_model, tmp_path, first):
    program = PROGRAM.format(first=first, names=list(QUIET))
    env = {name: value for name, value in os.environ.items() if name not in QUIET}
    done = subprocess.run(
        [sys.executable, "-c", program, tiny_model()],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True True True True True\n"
    ours, _, theirs = done.stderr.partition("now the user's own\n")
    assert ours == ""
    assert "Loading weights" in theirs


def test_a_remark_that_comes_again_is_shown_once():
    shown = []
    with warnings.catch_warnings():
        show_remarks(shown.append)
        for text in ("3 rows are skipped", "another", "3 rows are skipped"):
            warnings.warn(text, Remark, stacklevel=1)
    assert shown == ["3 rows are skipped", "another"]
