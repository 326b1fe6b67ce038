"""What the page carries: columns that a script reads, tables to be saved, cards, coverage, learning."""

from __future__ import annotations

import base64
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.figures.profiles import THRESHOLDS, profile, scores
from scorepath.reporting.bibliography import WORKS
from scorepath.reporting.cards import cards, described
from scorepath.reporting.coverage import coverage_rows
from scorepath.reporting.embedding import columns, downloads, rounded, script_data
from scorepath.reporting.every_cell import TEXT, embedded_cells, every_cell
from scorepath.reporting.learning import learning_rows
from scorepath.reporting.ledger import ledger_sentence
from scorepath.stages.plan import make_plan
from scorepath.store.tables import Tables


def test_columns_hold_words_once_and_numbers_short() -> None:
    frame = pd.DataFrame({"name": ["b", "a", "b"], "x": [1.23456, math.nan, -math.inf]})
    assert columns(frame, ("name",), ("x",)) == {
        "name": {"names": ["b", "a"], "codes": [0, 1, 0]}, "x": [1.235, None, "−∞"]
    }  # fmt: skip
    assert rounded(4096.0) == 4096


@pytest.mark.parametrize("text", ["</script><script>x()", "<!--", "&lt;", "]]>"])
def test_data_ends_no_element(text: str) -> None:
    carried = str(script_data({"a": text}))
    assert not set("<>&") & set(carried)
    assert json.loads(carried) == {"a": text}


def test_tables_are_carried_as_they_are(tmp_path: Path) -> None:
    tables = Tables(write_tables(tmp_path))
    found = {item.name: item for item in downloads(tables)}
    assert {"cells", "verdicts", "training"} <= set(found)
    for name, item in found.items():
        content = gzip.decompress(base64.b64decode(item.uri.split(",")[1]))
        assert content == (tmp_path / f"{name}.csv").read_bytes()
        assert item.size == len(content)


def test_a_card_has_the_words_of_its_family_and_its_own_knobs() -> None:
    config = {"noise_levels": [0.1], "estimators": ["reinforce", "pathwise"]}
    plan = make_plan({**config, "environments": [{"name": "fast", "family": "cosine", "frequency": 20.0}]})
    card = cards(plan)["fast"]
    assert card["family"] == "cosine"
    assert "frequency 20.0" in card["knobs"]
    assert card["facts"] == "one step"
    assert card["sentence"].startswith("The cosine landscape")
    assert "cos(frequency * a + phase)" in card["equations"]
    assert "Attributes" not in card["equations"]
    assert described("no_such_family") == {"sentence": "", "equations": ""}


def test_coverage_counts_the_intervals_that_hold_an_exact_variance(tmp_path: Path) -> None:
    """The curves are the tables' own variances, 4 / sigma^2; one is moved out of its interval."""
    folder = write_tables(tmp_path)
    (row,) = coverage_rows(Tables(folder))
    assert row["estimator"] == "reinforce"
    assert row["held"] == row["cells"] == 4
    curves = pd.read_csv(folder / "exact_curves.csv")
    curves.loc[curves["sigma"] == 1.0, "value"] *= 1.2
    curves.to_csv(folder / "exact_curves.csv", index=False)
    assert coverage_rows(Tables(folder))[0]["held"] == 2


def test_scores_are_gains_in_units_of_the_best(tmp_path: Path) -> None:
    """Every seed gains 30 - 30 / (1 + iteration): the unit is what the last quarter gains."""
    tables = Tables(write_tables(tmp_path))
    runs = scores(tables)
    assert runs["score"].to_numpy() == pytest.approx(1.0)
    gains = 30 - 30 / (1 + np.array([0, 10, 20]))
    assert runs["area"].to_numpy() == pytest.approx((gains / gains[-1]).mean())
    assert set(runs["reached"]) == {640}
    assert all(row["finished"] == row["seeds"] == 4 for row in learning_rows(tables))
    share, low, high = profile([np.full(4, 1.0), np.array([0.0, 0.0, 1.0, 1.0])])
    at = int(np.argmin(abs(THRESHOLDS - 0.5)))
    assert share[at] == 0.75
    assert low[at] < 0.75 < high[at]


def test_the_ledger_says_what_fails(tmp_path: Path) -> None:
    folder = write_tables(tmp_path)
    assert ledger_sentence(Tables(folder)) == (
        "1 row of 1 claim: 0 contain the prediction and lie within the tolerance."
    )
    claims = pd.read_csv(folder / "claims.csv", keep_default_na=False)
    pd.concat([claims, *[claims.assign(claim="x", consistency="inconsistent", tolerance="outside")] * 2]).to_csv(
        folder / "claims.csv", index=False
    )
    assert ledger_sentence(Tables(folder)).endswith(
        "Outside the tolerance: x (2 rows). Against the prediction: x (2 rows)."
    )


def test_works_have_keys_of_their_own_and_links() -> None:
    assert len({work.key for work in WORKS}) == len(WORKS)
    assert all(work.link.startswith("https://") and str(work.year) in work.key for work in WORKS)
    assert WORKS[0].bibtex.startswith("@misc{agarwal2021,\n  author = {Agarwal, Rishabh and ")
    assert next(work for work in WORKS if work.key == "weaver2001").names == "Weaver & Tao"


def test_commands_travel_without_the_names_in_their_rows(tmp_path: Path) -> None:
    """And are the table's when these are put in, as the page's script does."""
    tables = Tables(write_tables(tmp_path))
    expected, carried = every_cell(tables), embedded_cells(tables)
    texts = {name: [carried[name]["names"][code] for code in carried[name]["codes"]] for name in TEXT}
    named = zip(texts["command"], texts["environment"], texts["estimator"], strict=True)
    assert [short.format(environment=one, estimator=other) for short, one, other in named] == list(expected["command"])
    assert len(carried["command"]["names"]) == expected["sigma"].nunique()
