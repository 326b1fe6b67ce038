"""The rule, the tree and the cures follow the tables."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.reporting.cures import cure_rows, cure_sentence
from scorepath.reporting.rule import classified, in_doubt, rule_lines
from scorepath.reporting.simulator import questions
from scorepath.store.tables import Tables


def changed(folder: Path, name: str, **values: object) -> None:
    """Give the environment `smooth` other values in a table."""
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
    for column, value in values.items():
        table.loc[table["environment"] == "smooth", column] = value
    table.to_csv(folder / f"{name}.csv", index=False)


def test_places_are_smooth_or_jump(tmp_path: Path) -> None:
    """`smooth` is predicted for pathwise, `edge` is not proved to be unbiased: four places each."""
    tables = Tables(write_tables(tmp_path))
    assert classified(tables)["line"].value_counts().to_dict() == {"smooth": 4, "jump": 4}
    smooth, jump = rule_lines(tables)
    assert (smooth.use, jump.where) == ("pathwise", "It jumps")
    assert jump.use == "not pathwise alone"
    assert smooth.evidence.startswith("smaller error in 4 of 4 decided comparisons")
    assert "up to 100 % [99.9, 100] of the gradient (edge)" in jump.evidence
    assert "it loses 4 of 4 (1 environment, 0 open" in jump.evidence


@pytest.mark.parametrize(
    ("declared", "finding", "share", "line"),
    [(True, "", 0, "smooth"), (False, "", 0, "jump"), (True, "it jumps", 0, "jump"), (True, "ramp", 1e-4, "smooth")],
)
def test_what_nobody_has_proved_need_not_jump(
    tmp_path: Path, declared: bool, finding: str, share: float, line: str
) -> None:
    """A plugin's pathwise gradient is proved by nobody; its return jumps where it says so, or was seen to."""
    folder = write_tables(tmp_path)
    changed(folder, "gradient_statistics", proved_unbiased=False)
    changed(folder, "references", continuous=declared, finding=finding, jump_share=share)
    assert set(classified(Tables(folder)).query("environment == 'smooth'")["line"]) == {line}
    silent = "samples that are all zero decide nothing"
    assert all(silent not in text.evidence for text in rule_lines(Tables(folder)))
    changed(folder, "mechanisms", verdict="no_signal")
    assert any(silent in text.evidence for text in rule_lines(Tables(folder))) == (line == "jump")


@pytest.mark.parametrize(("predicted", "line"), [(-0.6, "rough"), (-0.4, "even"), (0.1, "smooth"), (math.nan, "")])
def test_a_prediction_against_pathwise_counts_from_a_factor_of_three_on(
    tmp_path: Path, predicted: object, line: str
) -> None:
    folder = write_tables(tmp_path)
    changed(folder, "mechanisms", predicted=predicted, verdict="score_function")
    tables = Tables(folder)
    assert set(classified(tables).query("environment == 'smooth'")["line"]) == {line}
    said = [text.evidence for text in rule_lines(tables) if "pathwise loses 4 of 4" in text.evidence]
    assert len(said) == (line == "rough")


def test_what_is_open_is_not_counted_as_won(tmp_path: Path) -> None:
    folder = write_tables(tmp_path)
    changed(folder, "mechanisms", verdict="undecided")
    assert [line.where for line in rule_lines(Tables(folder))] == ["It jumps"]
    above = questions(Tables(folder))[1].branches[0]
    assert (
        above.evidence == "Here: pathwise has the smaller error in 0 of 0 decided comparisons (1 environment, 4 open)."
    )


def test_in_doubt_the_rule_of_the_least_regret_is_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path)
    assert in_doubt(Tables(folder)).startswith("In doubt: inverse variance. ")
    regrets = pd.read_csv(folder / "regrets.csv", keep_default_na=False)
    own = regrets["rule"] == "always_pathwise"
    for column, value in (("regret", 1.1), ("over_simple", 0.7), ("over_simple_low", 0.5), ("over_simple_high", 0.9)):
        regrets.loc[own, column] = value
    regrets.to_csv(folder / "regrets.csv", index=False)
    said = in_doubt(Tables(folder))
    assert said.startswith("In doubt: pathwise. ")
    assert said.endswith("it has 0.7 [0.5, 0.9] times the error of the better of the two simplest rules.")


def test_a_cure_stands_beside_the_bias(tmp_path: Path) -> None:
    """The corrected estimator keeps a bias of a fifth of the gradient at one noise level, elsewhere none."""
    folder = write_tables(tmp_path)
    assert cure_sentence(Tables(folder)) == ""
    for name in ("cells", "gradient_statistics"):
        table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
        own = table[(table["environment"] == "edge") & (table["estimator"] == "pathwise")]
        own = own.assign(estimator="boundary_corrected")
        if name == "gradient_statistics":
            kept = (own["sigma"] == 1.0).astype(float)
            own = own.assign(squared_bias=0.16 * kept, squared_bias_low=0.1 * kept, squared_bias_high=0.2)
        pd.concat([table, own]).to_csv(folder / f"{name}.csv", index=False)
    cures, rows = cure_rows(Tables(folder))
    assert cures == ["boundary_corrected"]
    assert [row["environment"] for row in rows] == ["edge"] * len(rows)
    said = cure_sentence(Tables(folder))
    assert f"of {len(rows)} places" in said
    assert "is still seen in 1; the largest estimate of what is left is 20 % [16, 22] instead of 100 %" in said
    assert said.endswith("(edge, σ = 1).")


def test_too_few_places_to_sort_them_are_said_to_be_so(tmp_path: Path) -> None:
    """They are not said to be absent, but where the return jumps, which is known without a measure of roughness."""
    folder = write_tables(tmp_path, ("smooth",), losers=())
    tables = Tables(folder)
    for name, columns in {
        "mechanisms": {"mean_degree": 1.0, "predicted": math.nan}, "roughness": {"choice": math.nan},
    }.items():  # fmt: skip
        tables.read(name).assign(**columns).to_csv(folder / f"{name}.csv", index=False)
    jump, smooth = questions(Tables(folder))[:2]
    too_few = "This study has too few places to choose a measure of roughness."
    assert [branch.evidence for branch in smooth.branches] == [too_few] * 3
    assert jump.branches[0].evidence == "This study has no such place."
