"""Several checkpoints made from one model, evaluated together."""

import json

import pytest

import prunekit
from prunekit.core import ConfigError

WORDS = {"ppl": "demo", "ppl_samples": 2, "dtype": "float32"}


@pytest.fixture
def made(tiny_model, tmp_path):
    """Two checkpoints beside their dense model."""
    dense = tiny_model("llama3", n_blocks=4)
    (tmp_path / dense.name).symlink_to(dense)
    for name, removed in (("one", [1]), ("two", [1, 2])):
        prunekit.export(str(dense), remove=removed, to=tmp_path / name)
    return tmp_path


def test_each_has_the_scores_that_it_has_alone(made):
    names = [str(made / name) for name in ("one", "two")]
    alone = [prunekit.evaluate(name, workdir=made / "alone", **WORDS) for name in names]
    both = prunekit.evaluate(names[0], also=names[1], workdir=made / "work", **WORDS)
    assert [both.name, both.also[0].name] == ["one", "two"]
    for found, other in zip((both, *both.also), alone, strict=True):
        row, wanted = found.perplexities["demo"], other.perplexities["demo"]
        assert (row.dense, row.pruned, row.difference) == (
            wanted.dense,
            wanted.pruned,
            wanted.difference,
        )
    assert json.loads(both.to_json())["also"][0]["name"] == "two"


def test_they_are_printed_in_one_table(type_it, made):
    status, out, _ = type_it("evaluate", "--model", made / "one", "--also", made / "two")
    assert status == 0
    table = out.rpartition("model")[2]
    assert [line.split()[:2] for line in table.splitlines() if " ± " in line] == [
        ["one", *out.split(" one ")[1].split()[:1]],
        ["two", *out.split(" two ")[1].split()[:1]],
    ]


@pytest.fixture
def type_it(request):
    """Type a command, with the texts and the limit of these tests."""
    run = request.getfixturevalue("prunekit")
    return lambda *words: run(*words, "--ppl", "demo", "--ppl-samples", "2", "--dtype", "float32")


def test_without_a_dense_model_there_is_nothing_to_compare_with(made):
    (link,) = [path for path in made.iterdir() if path.is_symlink()]
    link.unlink()
    with pytest.raises(ConfigError, match="--also .*: without its dense model"):
        prunekit.evaluate(str(made / "one"), also=str(made / "two"), workdir=made, **WORDS)
