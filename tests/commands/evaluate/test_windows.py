"""Perplexity protocols: what is read, how it is cut, and what the record says."""

import json

import pytest

from prunekit.core import IGNORE, ConfigError
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.perplexity import cut
from prunekit.plugins.commands.evaluate.texts import documents_of, protocols_of

STORY = "Once upon a time there was a king who had three daughters. "


@pytest.fixture
def windows(demo_tokenizer):
    """The windows of one protocol: `windows("demo", ppl_length=20)`."""

    def read(name, context=1024, tokenizer=demo_tokenizer, **how):
        (protocol,) = protocols_of(EvalConfig((name,), **how))
        return cut(protocol, tokenizer, context)

    return read


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(STORY * 20)
    return str(path)


@pytest.fixture
def documents(tmp_path):
    """A file of documents of these lengths, in sentences."""

    def write(*lengths):
        path = tmp_path / "documents.jsonl"
        path.write_text("".join(json.dumps({"text": sentences(n)}) + "\n" for n in lengths))
        return str(path)

    return write


def sentences(n):
    """A document of n different sentences."""
    return " ".join(f"{i} of {n}: {STORY}" for i in range(n))


def ids(windows):
    return [sample["input_ids"][0].tolist() for sample in windows.samples]


def predicted(windows):
    """Every token that is predicted, window by window."""
    targets = [sample["targets"][0].tolist() for sample in windows.samples]
    return [[t for t in row if t != IGNORE] for row in targets]


def test_joined_text_is_cut_into_windows_and_its_end_is_dropped(windows, story, demo_tokenizer):
    found = windows(story, ppl_length=30)
    whole = demo_tokenizer(STORY * 20).input_ids
    assert ids(found) == [whole[n : n + 30] for n in range(0, len(whole) - 29, 30)]
    assert predicted(found) == [row[1:] for row in ids(found)]
    assert found.record["tokens"] == 29 * len(ids(found))
    assert (found.record["stride"], found.record["joint"]) == (30, "\n\n")


def test_overlapping_windows_predict_every_token_once(windows, story, demo_tokenizer):
    found = windows(story, ppl_length=30, ppl_stride=10)
    whole = demo_tokenizer(STORY * 20).input_ids
    assert ids(found)[1] == whole[10:40]
    assert predicted(found)[1] == whole[30:40]
    joined = [token for row in predicted(found) for token in row]
    assert joined == whole[1 : len(joined) + 1]
    assert found.record["tokens"] == len(joined) > 29 * (len(whole) // 30)


def test_wikitext_from_its_raw_file_is_joined_as_from_the_hub(windows, tmp_path, demo_tokenizer):
    (tmp_path / "wiki.test.raw").write_text(" \n = Title = \n \n A line . \n Another . \n")
    rows = ["", " = Title = \n", "", " A line . \n", " Another . \n"]
    name = f"wikitext2={tmp_path / 'wiki.test.raw'}"
    (protocol,) = protocols_of(EvalConfig((name,)))
    assert list(documents_of(protocol)) == rows
    (row,) = ids(windows(name))
    assert row == demo_tokenizer("\n\n".join(rows)).input_ids


def test_documents_of_a_file_are_joined_by_blank_lines(windows, documents, demo_tokenizer):
    (row,) = ids(windows(documents(1, 2)))
    assert row == demo_tokenizer(f"{sentences(1)}\n\n{sentences(2)}").input_ids


def test_of_long_documents_one_window_each_is_taken_at_random(windows, documents):
    found = windows(f"c4={documents(1, 9, 1, 9, 9, 1, 9)}", ppl_length=60, ppl_samples=3)
    assert [len(row) for row in ids(found)] == [60] * 3
    assert len({tuple(row) for row in ids(found)}) == 3
    again = windows(f"c4={documents(1, 9, 1, 9, 9, 1, 9)}", ppl_length=60, ppl_samples=3)
    assert found.digest == again.digest
    few = windows(f"c4={documents(1, 9)}", ppl_length=60)
    assert "256 windows asked; the text gives 1" in few.record["remarks"]


def test_passages_stand_by_themselves_the_longest_first(windows, documents, demo_tokenizer):
    found = windows(f"lambada={documents(1, 3, 2)}", ppl_length=40)
    assert ids(found) == [demo_tokenizer(sentences(n)).input_ids[:40] for n in (3, 2, 1)]
    assert found.record["stride"] is None


def test_the_embedded_passages_need_no_option(windows):
    found = windows("demo")
    assert found.record["windows"] == 64
    assert found.record["source"] == "demo"


def test_a_beginning_of_text_stands_where_it_was_asked_for(windows, documents, llama_like):
    bos = llama_like.bos_token_id
    place = documents(9, 9)

    def first(how, name=place):
        found = windows(name, tokenizer=llama_like, ppl_length=20, ppl_bos=how)
        assert not any(bos in row[1:] for row in ids(found))
        return [row[0] == bos for row in ids(found)]

    assert first("tokenizer") == [True] + [False] * (len(first("tokenizer")) - 1)
    assert all(first("every"))
    assert all(first("auto"))
    assert not any(first("none"))
    assert first("tokenizer", f"lambada={place}") == [True, True]


def test_before_every_window_it_costs_one_token_and_predicts_the_first(
    windows, story, demo_tokenizer
):
    found = windows(story, ppl_length=30, ppl_bos="every")
    whole = demo_tokenizer(STORY * 20).input_ids
    bos = demo_tokenizer.bos_token_id
    assert ids(found)[:2] == [[bos, *whole[:29]], [bos, *whole[29:58]]]
    assert predicted(found)[:2] == [whole[:29], whole[29:58]]


def test_a_short_context_shortens_windows_and_the_record_says_so(windows, story):
    found = windows(story, context=64)
    assert {len(row) for row in ids(found)} == {64}
    assert found.record["length"] == 64
    assert found.record["remarks"] == ["2048 tokens asked; the context holds fewer"]


def test_a_short_text_is_one_window_and_the_record_says_so(windows, documents):
    found = windows(documents(2))
    (row,) = ids(found)
    assert f"the longest window has {len(row)} tokens" in found.record["remarks"]


def test_the_digest_tells_ways_of_cutting_apart(windows, story):
    ways = [{}, {"ppl_stride": 5}, {"ppl_bos": "every"}, {"ppl_samples": 2}, {"ppl_length": 19}]
    digests = {windows(story, **{"ppl_length": 20, **way}).digest for way in ways}
    assert len(digests) == len(ways)


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("STORY", {"ppl_length": 2000}, "the model's context holds 1024"),
        ("STORY", {"ppl_length": 600}, "gives no window of 600 tokens; lower --ppl-length"),
        ("STORY", {"ppl_length": 20, "ppl_stride": 21}, "text would be passed over"),
        ("demo", {"ppl_stride": 10}, "for joined text only"),
        ("demo=a.txt", {}, "demo has its own text"),
        ("wikitext", {}, "no such protocol and no such file; .* Did you mean 'wikitext2'"),
        ("wikitext2=gone.txt", {}, "'gone.txt': no such file"),
        ("wikitext2", {}, "cannot be fetched .* give a file: wikitext2=FILE"),
        ("c4", {}, "give a file: c4=FILE"),
        ("lambada", {}, "give a file: lambada=FILE"),
    ],
)
def test_what_cannot_be_cut_is_refused(windows, story, name, how, message):
    with pytest.raises(ConfigError, match=message):
        windows(name.replace("STORY", story), **how)


def test_a_tokenizer_without_a_beginning_of_text_says_so(windows, story, demo_tokenizer):
    class Plain:
        bos_token_id = None

        def __call__(self, *args, **kwargs):
            return demo_tokenizer(*args, **kwargs)

    with pytest.raises(ConfigError, match="no beginning-of-text token"):
        windows(story, tokenizer=Plain(), ppl_bos="every")
