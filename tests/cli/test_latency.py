"""`prunekit latency`, as it is typed and as it looks."""

import json

import pytest

from prunekit.plugins.commands.latency.benchmark import Spread, Timed, Workload
from prunekit.plugins.commands.latency.command import show_latency
from prunekit.plugins.commands.latency.latency import PEAK, LatencyResult

SHORT = ["--prompt-length", 8, "--new-tokens", 2, "--repeats", 2]


@pytest.fixture
def large():
    """An 8B model on a fast card, and names that are long."""
    fast = Spread(123_456.7, 120_000.1, 131_000.9)
    speed = Timed(8_030_261_248, 16_060_522_496, 10**9, 131_072, 99_123_456_789, fast, fast, (), ())
    return LatencyResult(
        model="meta-llama/Llama-3.1-8B",
        weights="x",
        n_blocks=32,
        removed=(21, 22, 23, 24, 25, 26, 28),
        workload=Workload(100_000, 1_000, 64, 100),
        device="cuda:0, NVIDIA H100 80GB HBM3",
        dtype="bfloat16",
        threads=16,
        dense=speed,
        pruned=speed,
        prefill_ratio=Spread(1.25, 1.2, 1.3),
        decode_ratio=Spread(1.25, 1.2, 1.3),
        peak_is=PEAK["other"],
        versions={},
        run=None,
    )


def test_the_table_fits_80_columns(large, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show_latency(large)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    (row,) = [line.split() for line in lines if line.startswith(" decode")]
    assert row == ["decode,", "tokens/s", "123,457", "123,457", "1.250"]
    assert "threads" not in "".join(lines)


def test_it_is_typed(prunekit, tiny_model):
    status, out, err = prunekit("latency", "--model", tiny_model(), "--remove", "2,5", *SHORT)
    assert (status, err) == (0, "")
    assert "without blocks 2,5" in out
    assert all(word in out for word in ("prefill", "decode", "cache", "parameters", "counted"))


def test_the_dense_model_is_timed_against_itself_for_none(prunekit, tiny_model):
    status, out, err = prunekit("latency", "--model", tiny_model(), "--remove", "none", *SHORT)
    assert (status, err) == (0, "")
    assert "without blocks none" in out


def test_json_is_for_scripts(prunekit):
    status, out, err = prunekit("latency", "--remove", "2,5", "--json", *SHORT)
    row = json.loads(out)
    assert (status, row["removed"], row["schema"]) == (0, [2, 5], 1)
    assert len(row["dense"]["prefill_seconds"]) == 2
    assert "taking demo" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--remove", "x"], "expected block numbers"),
        (["--remove", "16"], "no such block: 16"),
        (["--run", "nothing"], "no such run"),
        ([], "either a run, as --run NAME, or the blocks"),
        (["--remove", "1", "--repeats", "0"], "repeats: 0 is outside 1.."),
        (["--remove", "1", "--prompt-length", "1024"], "the model's context holds 1,024"),
    ],
)
def test_a_mistake_costs_one_line(prunekit, words, message):
    status, out, err = prunekit("latency", "-q", *words)
    assert (status, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
