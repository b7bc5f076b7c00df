"""Files that were changed cost one line at most, whatever the change was."""

import subprocess
import sys
from pathlib import Path


def test_mutated_files_end_commands_in_one_line_or_not_at_all():
    words = [sys.executable, Path(__file__).with_name("fuzz.py"), "--inputs", "50", "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 inputs, 0 failures" in done.stdout
