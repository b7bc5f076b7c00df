"""`prunekit curve` as users type it."""

import json
from functools import partial

import pytest

from prunekit.engine.reading import Difference
from prunekit.plugins.commands.curve.knee import Knee
from prunekit.plugins.commands.curve.picture import picture_of
from prunekit.plugins.commands.curve.result import CurveResult, Evaluated, Point
from prunekit.plugins.commands.curve.words import about_knee

ABOVE = partial(Difference, standard_error=0.1)
QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24"]


def made_up(losses, knee=None, held_out_samples=8, texts=()):
    """A curve of a model of 12 blocks, of which each has 10 of 200 parameters."""
    found = {text: Evaluated(20.0, 1.25, 1.0, 1.5) for text in texts}
    points = tuple(
        Point(k, tuple(range(k)), x, ABOVE(x), x, ABOVE(x), 200 - 10 * k, 400, 1.0, found)
        for k, x in enumerate(losses)
    )
    return CurveResult(
        model="a/b",
        weights="",
        searcher="greedy",
        objective="ppl",
        unit="nats",
        seed=0,
        n_blocks=12,
        samples=4,
        held_out_samples=held_out_samples,
        dtype="float32",
        points=points,
        knee=knee,
        measured=1,
        seconds=0.0,
        versions={},
        folder="",
        texts={text: {} for text in texts},
    )


def test_it_prints_a_row_for_each_budget_within_the_terminal(prunekit, tiny_model):
    words = ["curve", "--model", tiny_model("llama3", n_blocks=6), "-k", 3, *QUICK]
    status, out, _ = prunekit(*words)
    assert status == 0
    table = [line for line in out.splitlines() if line[:3].strip(" *").isdigit()]
    assert [line.split()[0].strip("*") for line in table] == ["0", "1", "2", "3"]
    assert all(len(line.rstrip()) <= 80 for line in table)
    assert "dense" in table[0]
    assert all(line.split()[1].startswith("+") for line in table[1:])
    assert "186.8K (100%)" in table[0]
    assert table[0].split()[-1] == "1.00x"
    (look,) = (line.split()[-1] for line in out.splitlines() if line.startswith("look at it"))
    assert look.endswith("/curve.png")
    row = json.loads(prunekit(*words, "--json", "-q")[1])
    assert row["folder"] == look.removesuffix("/curve.png")
    assert [point["budget"] for point in row["points"]] == [0, 1, 2, 3]
    assert row["measured"] == 0


def test_it_takes_a_file_and_other_units(prunekit, tiny_model, tmp_path):
    model = tiny_model("llama3", n_blocks=6)
    (tmp_path / "a.yaml").write_text(f"model: {model}\nshrink: 9%\nsearcher: one-shot\n")
    words = ["curve", "--config", "a.yaml", "--every", 2, *QUICK]
    row = json.loads(prunekit(*words, "--json")[1])
    assert row["searcher"] == "one-shot"
    assert [point["budget"] for point in row["points"]] == [0, 2]
    assert prunekit(*words[:3], "--every", 0)[0] == 1


def test_a_dry_run_measures_nothing(prunekit, tiny_model, tmp_path):
    """Greedy takes 3 of 6 blocks in 6 + 5 + 4 subsets; the smaller budgets ask for some again."""
    words = ["curve", "--model", tiny_model("llama3", n_blocks=6), "-k", 3, *QUICK, "--dry-run"]
    status, out, _ = prunekit(*words)
    assert status == 0
    assert ": 3 budgets; the largest removes 3 of 6 blocks: 27.8K of 186.8K parameters" in out
    assert "asks for 32 subsets, 15 of them different" in out
    assert "then measures at most 4 subsets, the choices and the dense model, on held-out" in out
    row = json.loads(prunekit(*words, "--json", "-q")[1])
    assert row["cost"]["measured"] == 16
    assert row["checkpoint"] == ""
    assert not list(tmp_path.rglob("curve.json"))


def test_a_stop_says_how_to_go_on(prunekit, tiny_model, monkeypatch):
    from prunekit.engine.run import SearchRun

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchRun, "finish", interrupted)
    status, _, err = prunekit("curve", "--model", tiny_model("llama3", n_blocks=6), *QUICK, "-q")
    assert status == 130
    assert err.startswith("stopped. What was measured is saved in ")
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            (Knee(1, 0.5, 2), 8),
            "knee at 1 of 12 blocks: there the held-out loss lies furthest, 0.5",
        ),
        ((Knee(1, 0.5, 2), 0), "there the loss on the calibration set lies furthest"),
        ((None, 8), "no knee: the held-out loss nowhere lies below the straight line from 0 to 2"),
    ],
)
def test_the_knee_in_words(given, said):
    assert said in about_knee(made_up([0.0, 0.5, 2.0], *given))


def test_the_picture_names_what_it_draws():
    picture = picture_of(made_up([0.0, 0.5, 2.0], Knee(1, 0.5, 2)))
    assert list(picture.key) == [
        "4 calibration samples",
        "8 held-out samples",
        "from first to last",
        "knee: 1 block",
    ]
    assert "knee at 1 of 12 blocks" in picture.panels[0].alt
    assert list(picture_of(made_up([0.0], held_out_samples=0)).key) == ["4 calibration samples"]


def test_texts_have_a_panel_of_their_own_without_their_folders():
    picture = picture_of(made_up([0.0, 0.5, 2.0], texts=["demo", "/a/b.txt"]))
    assert list(picture.key)[2:] == ["demo text", "b.txt text"]
    _, ratio = picture.panels
    assert "without 2 blocks: 1.25 (1.00 to 1.50) on demo" in ratio.alt


def test_perplexities_have_a_table(prunekit, tiny_model):
    words = ["curve", "--model", tiny_model("llama3", n_blocks=6), "-k", 1, *QUICK]
    status, out, _ = prunekit(*words, "--evaluate", "demo", "--evaluate-samples", 4)
    assert status == 0
    head = next(line for line in out.splitlines() if "over dense" in line)
    assert "demo perplexity" in head
    dense, pruned = (line.split() for line in out.split(head)[1].splitlines()[2:4])
    assert dense[0::2] == ["0", "1.00"]
    assert pruned[0] == "1"
    assert pruned[4] == "to"
    assert (
        "not counted: the perplexities on demo"
        in prunekit(*words, "--evaluate", "demo", "--dry-run")[1]
    )
