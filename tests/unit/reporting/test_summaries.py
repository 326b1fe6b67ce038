"""Sentences and rows about what the verdicts come to follow the tables."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from tests.helpers.small_tables import write_tables

from scorepath.reporting.summaries import counted, regret_rows, summary_sentences, win_rows
from scorepath.store.tables import COLUMNS, Tables


def sentences(folder: Path) -> dict[str, str]:
    return summary_sentences(Tables(folder))


def test_wins_by_noise_level_are_told_with_limits(tmp_path: Path) -> None:
    by_noise = sentences(write_tables(tmp_path))["by_noise"]
    assert "4 of 5 at σ = 0.1, 4 of 5 at σ = 1; over all 80 %" in by_noise
    assert "30 to 99 %" in by_noise


def test_rules_are_told_from_the_cheapest_up(tmp_path: Path) -> None:
    rules = sentences(write_tables(tmp_path))["rules"]
    order = [
        "the mixture inverse variance 1.3 [1.2, 9]",
        "pathwise where σ < 1, else",
        "always pathwise 2.5",
        "always the",
    ]
    places = [rules.index(part) for part in order]
    assert places == sorted(places)
    assert "8 places" in rules


def test_the_spread_over_policies_is_told(tmp_path: Path) -> None:
    """Of two environments with five places each the one that is measured with three policies has two that turn."""
    tables = write_tables(tmp_path)
    assert sentences(tables)["by_policy"] == ""
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False, na_values=[""])
    own = verdicts["environment"].eq("edge") & verdicts["sigma"].gt(0)
    several = [verdicts[own].assign(environment=f"edge{n}") for n in ("", "_2", "_3")]
    found = pd.concat([verdicts[~own], *several])
    edges = found["environment"].str.startswith("edge") & found["sigma"].gt(0)
    found["policies"] = edges.map({True: 3, False: 1})
    found["value_least"] = -1.0
    found["value_most"] = (edges & found["sigma"].eq(1)).map({True: 0.5, False: -0.5})
    found.to_csv(tables / "verdicts.csv", index=False)
    said = sentences(tables)["by_policy"]
    assert "of 4 places that were measured with several initial policies" in said
    assert said.endswith("at 2 (in edge, edge 2, edge 3).")
    # where the third was not measurable, two were measured: as many places
    third = found["environment"].eq("edge_3") & found["sigma"].eq(1)
    found.loc[third, "value"] = math.nan
    found.loc[edges & found["sigma"].eq(1), "policies"] = 2
    found.to_csv(tables / "verdicts.csv", index=False)
    assert "of 4 places" in sentences(tables)["by_policy"]


def test_the_question_is_answered_against_all_that_need_returns_alone(tmp_path: Path) -> None:
    tables = write_tables(tmp_path)
    assert sentences(tables)["backpropagate"] == ""  # nothing of the kind was compared
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    own = verdicts[verdicts["comparison"] == "pathwise_vs_best_score_function"]
    own = own.assign(comparison="pathwise_vs_best_derivative_free", rival="measure_valued")
    own["verdict"] = own["verdict"].replace("score_function", "derivative_free")
    pd.concat([verdicts, own]).to_csv(tables / "verdicts.csv", index=False)
    said = sentences(tables)["backpropagate"]
    assert "in 4 of 8 decided comparisons (0 undecided)" in said
    assert "most often measure valued" in said


def test_samples_that_are_all_zero_are_told(tmp_path: Path) -> None:
    tables = write_tables(tmp_path)
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    silent = (verdicts["environment"] == "edge") & (verdicts["verdict"] == "score_function")
    verdicts.loc[silent, "verdict"] = "no_signal"
    verdicts.loc[silent & (verdicts["sigma"] == 1.0), "relative_error"] = 1.0
    verdicts.to_csv(tables / "verdicts.csv", index=False)
    said = sentences(tables)["no_signal"]
    assert said.startswith("In 4 comparisons there is no signal")
    assert "(in edge); in 2 of them" in said


def test_verdicts_without_a_winner_are_counted_by_kind() -> None:
    words = ["pathwise", "derivative_free", "score_function", "equivalent", "no_signal", "no_signal", "neither_usable"]
    found = counted(pd.DataFrame({"verdict": words}))
    assert found == (1, 2, "0 undecided, 1 equivalent in practice, 2 without signal, 1 with neither usable")


def test_the_reports_rows_are_the_tables(tmp_path: Path) -> None:
    tables = Tables(write_tables(tmp_path))
    tokens, rows = win_rows(tables)
    assert tokens == ["0.1", "1"]
    assert rows[0]["levels"]["all"]["share"] == 0.8
    headings, rules = regret_rows(tables)
    assert headings == [("best score-function", "equal samples")]
    assert [row["regrets"][0]["regret"] for row in rules] == [1.3, 1.6, 2.5, 3.5]


def test_without_tables_nothing_is_said(tmp_path: Path) -> None:
    assert set(sentences(tmp_path).values()) == {""}
    for name in ("wins", "regrets"):
        pd.DataFrame(columns=COLUMNS[name]).to_csv(tmp_path / f"{name}.csv", index=False)
    assert set(sentences(tmp_path).values()) == {""}
    assert win_rows(Tables(tmp_path)) == ([], [])
    assert regret_rows(Tables(tmp_path)) == ([], [])
