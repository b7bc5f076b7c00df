"""Each family is searched and exported faithfully, or refused with its reason: no third outcome.

docs/families.md says which of them it is. benchmarks/families_table.py writes its table, and holds
it to what happens; here that is done for the families that tests/families.yaml describes first.
"""

from pathlib import Path

import pytest
from families.build import model_types, settings
from families.outcome import YES, Outcome, outcome
from families_table import counts, read_page

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
TABLE, NOT_BUILT = read_page()


def test_the_page_and_the_readme_count_the_rows():
    n, searched, exported = counts(TABLE)
    assert f"Of {n} models, {searched} are searched and {exported} exported" in PAGE
    assert f"of {n} models tried, {searched} can be searched and {exported} exp" in README


def test_every_model_type_that_writes_text_has_a_row_or_cannot_be_built():
    assert set(model_types()) <= {*TABLE, *NOT_BUILT}
    assert not set(NOT_BUILT) & set(TABLE)
    assert len(TABLE) >= 250


def test_there_is_no_third_outcome():
    for row in TABLE.values():
        if row.search != YES:
            assert row == Outcome((), row.search, "no")
        else:
            assert row.removed or row.checkpoint not in (YES, "no")


@pytest.mark.parametrize("name", settings()["families"])
def test_a_family_is_what_the_table_says(name, family_model, tmp_path):
    folder, removed = family_model(name)
    assert outcome(folder, removed, tmp_path / "work") == TABLE[name]
