"""The whole report: its files, its page, and its messages on an unfinished study."""

import html.parser
import json
import re
from xml.etree import ElementTree

import pytest
import yaml

import prunekit
from prunekit.core.errors import ConfigError
from prunekit.engine.study_folder import Cell, CellFailure, Importance, VariantEvaluation
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.writing import NAMES

SMALL = {
    "models": ("demo:qwen3",),
    "searchers": ("greedy", "beam", "genetic"),
    "budgets": (3,),
    "seeds": (0,),
    "n_blocks": 8,
}


@pytest.fixture(scope="session")
def whole_report(whole_study, tmp_path_factory):
    return prunekit.report(whole_study, tmp_path_factory.mktemp("report"))


class Page(html.parser.HTMLParser):
    """The elements of a page."""

    EMPTY = ("meta", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.found, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, wanted):
        return [attributes for tag, attributes in self.found if tag == wanted]


def page_of(report):
    return Page(report.page.read_text(encoding="utf-8"))


def test_every_figure_and_table_is_there(whole_report):
    written = {str(p.relative_to(whole_report.folder)) for p in whole_report.folder.rglob("*.*")}
    figures = {f"figures/{name}.{end}" for name in NAMES for end in ("pdf", "png", "svg")}
    sheets = (
        "accuracy",
        "perplexity",
        "cost",
        "held_out",
        "other_draws",
        "overlap",
        "variance",
        "ranks",
        "choices",
    )
    tables = {f"tables/{name}.{end}" for name in sheets for end in ("csv", "md", "tex")}
    assert written == figures | tables | {"tables/runs.csv", "report.html"}
    for path in whole_report.folder.glob("figures/*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert (whole_report.left_out, whole_report.gaps) == ((), ())


def test_the_page_holds_every_panel_and_sentence(whole_report):
    page = page_of(whole_report)
    words = " ".join("".join(page.text).split())
    for picture in whole_report.pictures:
        assert picture.name in page.ids
        assert " ".join(picture.sentence.split()) in words
    described = [svg["aria-label"] for svg in page.all("svg") if "aria-label" in svg]
    expected = [panel.alt for picture in whole_report.pictures for panel in picture.panels]
    assert described == expected


def test_the_page_asks_for_nothing(whole_report):
    page = page_of(whole_report)
    wanted = [a.get(name) for _, a in page.found for name in ("src", "href", "srcset", "data")]
    assert all(target.startswith(("#", "data:")) for target in wanted if target)
    text = whole_report.page.read_text()
    assert not re.search(r"@import|url\((?!#)|<script|https?:", text)


def test_ids_are_unique_and_every_reference_is_met(whole_report):
    page = page_of(whole_report)
    assert len(set(page.ids)) == len(page.ids)
    used = re.findall(r'(?:href="|url\()#([\w-]+)', whole_report.page.read_text())
    assert set(used) <= set(page.ids)


def test_text_in_pictures_has_the_colour_of_the_page(whole_report):
    text = whole_report.page.read_text()
    assert "currentColor" in text
    assert "#24292f" not in text.partition("</style>")[2]


def test_the_same_study_gives_the_same_files(make_study, tmp_path):
    folder = make_study(tmp_path / "study", **SMALL).path
    first, second = (prunekit.report(folder, tmp_path / name).folder for name in "ab")
    names = {path.relative_to(first) for path in first.rglob("*.*")}
    assert names == {path.relative_to(second) for path in second.rglob("*.*")}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_later_report_removes_what_it_no_longer_draws_and_nothing_else(make_study, tmp_path):
    whole = make_study(tmp_path / "whole", **SMALL).path
    less = make_study(tmp_path / "less", **{**SMALL, "draws": (0,)}, importances=False).path
    report = prunekit.report(whole, tmp_path / "report")
    (report.folder / "figures" / "mine.png").write_text("")
    prunekit.report(less, tmp_path / "report")
    left = {path.name for path in (report.folder / "figures").glob("*.png")}
    assert {"masks.png", "mine.png"} <= left
    assert not {"variance.png", "importance.png"} & left
    assert not list((report.folder / "tables").glob("variance.*"))


def test_an_unfinished_study_says_what_is_missing_and_shows_the_rest(make_study, tmp_path):
    folder = make_study(
        tmp_path,
        **SMALL,
        run=lambda cell: cell.searcher != "beam",
        fail=lambda cell: cell.searcher == "greedy" and cell.objective == "margin",
        evaluated=lambda model, removed: False,
        importances=False,
    )
    report = prunekit.report(folder.path)
    assert [gap.sentence for gap in report.gaps] == [
        "2 of 12 cells failed",
        "4 of 12 cells have not run",
        "no variant was evaluated, so that accuracies and perplexities are missing",
        "the losses of single removals are missing",
    ]
    words = " ".join("".join(page_of(report).text).split())
    assert "demo:qwen3, margin, greedy, k = 3, seed 0, draw 1: greedy ran out of luck" in words
    assert "demo:qwen3, ppl, beam, k = 3, seed 0, draw 0" in words
    assert "Perplexity rank against accuracy rank: no variant's accuracy was evaluated." in words
    assert {picture.name for picture in report.pictures} >= {"masks", "overlap", "variance"}
    assert report.page == folder.path / "report" / "report.html"


def test_variants_that_were_not_evaluated_or_not_wholly_are_named(make_study, tmp_path):
    folder = make_study(tmp_path, **SMALL, evaluated=lambda model, removed: removed != ())
    half = sorted((folder.path / "evaluations" / "demo-qwen3").glob("*.json"))[0]
    row = json.loads(half.read_text())
    del row["accuracies"]["piqa"]
    half.write_text(json.dumps(row))
    report = prunekit.report(folder.path)
    missing, incomplete = report.gaps
    assert (missing.sentence, missing.items) == ("1 variant not evaluated", ("demo:qwen3, dense",))
    assert incomplete.items == (f"demo:qwen3 without {half.stem.replace('-', ',')}",)


def test_variants_that_were_evaluated_otherwise_are_as_good_as_not(make_study, tmp_path):
    """As if the study was stopped after it was changed to evaluate on other texts."""
    folder = make_study(tmp_path, **SMALL)
    asked = {"ppl": ["c4"], "ppl_length": 32, "batch_size": 8}
    (folder.path / "study.yaml").write_text(yaml.safe_dump({"evaluate": asked}))
    first, *others = sorted((folder.path / "evaluations" / "demo-qwen3").glob("*.json"))
    for path in (first, *others):
        row = json.loads(path.read_text())
        length = 32 if path == first else 16
        row["details"] = {"wanted": {"ppl": ["c4"], "ppl_length": length}}
        path.write_text(json.dumps(row))
    study = read_study(folder.path)
    assert len(study.not_evaluated) == len(others)
    known = study.runs[study.runs["perplexity"].notna()]
    assert set(known["removed"]) <= {frozenset(map(int, first.stem.split("-")))}
    assert study.dense == {}


def test_without_any_result_there_is_one_clear_line(make_study, tmp_path):
    make_study(tmp_path, run=lambda cell: cell.draw == 0, fail=lambda _: True, importances=False)
    with pytest.raises(ConfigError, match="of 144 cells none has finished and 72 failed"):
        prunekit.report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_single_removals_alone_are_something_to_show(make_study, tmp_path):
    make_study(tmp_path, **SMALL, run=lambda cell: False)
    report = prunekit.report(tmp_path)
    assert [picture.name for picture in report.pictures] == ["importance"]


def test_labels_are_text_wherever_they_stand(make_study, tmp_path):
    label = 'a<b>&"c"_$d$'
    folder = make_study(tmp_path, **{**SMALL, "models": (label,)})
    page = page_of(prunekit.report(folder.path))
    assert not page.all("b")
    assert label in "".join(page.text)
    assert any(label in svg.get("aria-label", "") for svg in page.all("svg"))
    svg = (folder.path / "report" / "figures" / "masks.svg").read_text()
    assert "a&lt;b&gt;&amp;" in svg
    assert "$d$" in svg


SCRIPT = '<script>alert(1)</script>"><img src=x>&amp;$x$]]>-->'
HIDDEN = "a\x01b\x1b[2J\nc\u2028d\ud800"


def test_labels_and_errors_stay_text_on_the_page_and_in_the_figures(by_hand):
    labels = (SCRIPT, HIDDEN)
    cells = [
        Cell(m, "ppl", s, 2, 0, d) for m in labels for s in ("greedy", *labels) for d in (0, 1)
    ]
    *searched, failed = cells
    runs = [(cell, (cell.draw, 2 + i % 3), 0.1 * i) for i, cell in enumerate(searched)]
    scores = [
        VariantEvaluation(m, s, {SCRIPT: 2.0}, {HIDDEN: 0.5}) for m in labels for s in [(), (0, 2)]
    ]
    folder = by_hand(runs, scores, planned=cells)
    folder.write_cell(CellFailure(failed, SCRIPT))
    for model in labels:
        folder.write_importance(Importance(model, "ppl", 0, HIDDEN, 3.0, (3.5,) * 8))
    made = prunekit.report(folder.path)
    page = page_of(made)
    assert not page.all("script")
    assert not page.all("img")
    assert "".join(page.text).count(SCRIPT) > 3
    figures = list((made.folder / "figures").glob("*.svg"))
    assert len(figures) > 3
    for path in figures:
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
        assert not tags & {"script", "img", "image"}
