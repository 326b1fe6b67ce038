"""The answer follows the data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.reporting.answer import answer_sentences, boundaries, decisions, measured_reasons
from scorepath.store.tables import Tables


def test_answer_follows_the_data(tmp_path: Path) -> None:
    first, where, flips, *_ = answer_sentences(Tables(write_tables(tmp_path / "one")))
    assert "in 4 of 8 decided comparisons" in first
    assert "2 environments, 0 undecided" in first
    assert where == (
        "It wins every decided comparison in smooth. "
        "It loses where it is biased (up to 100 % of the gradient, in edge) every one in edge."
    )
    assert flips == "In no environment does the winner change with the noise level."
    first, where, *_ = answer_sentences(Tables(write_tables(tmp_path / "two", losers=())))
    assert "in 8 of 8 decided comparisons" in first
    assert where == "It wins every decided comparison in smooth and edge."
    assert "in 0 of 4 decided" in answer_sentences(Tables(write_tables(tmp_path / "three", ("edge",))))[0]


def lose_edge_at_large_noise(tables: Path) -> None:
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    changed = (verdicts["environment"] == "edge") & (verdicts["sigma"].astype(float) == 1.0)
    verdicts.loc[changed & verdicts["criterion"].str.startswith("equal"), "verdict"] = "score_function"
    verdicts.to_csv(tables / "verdicts.csv", index=False)


def test_answer_names_where_the_winner_changes(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", losers=())
    lose_edge_at_large_noise(tables)
    _, where, flips, *_ = answer_sentences(Tables(tables))
    assert flips == (
        "The winner changes with the noise level in 1 environment, always from pathwise at the smaller to the score "
        "function at the larger noise: between σ = 0.1 and 1."
    )
    assert where == "It wins every decided comparison in smooth. It loses some in edge."
    rows, columns = decisions(Tables(tables))
    edge = next(row for row in rows if row.environment == "edge")
    assert edge.boundary == ("0.1 P → 1 S",)
    assert [mark.code for mark in edge.marks["equal_samples"]] == ["P", "S"]
    assert columns["equal_samples"] == ["0.1", "1"]
    assert "equal_steps" not in columns  # the same verdicts as at equal samples


@pytest.mark.parametrize(("variance", "words"), [(5.0, {"edge": "variance up to 1.2 times its rival’s"}), (4.5, {})])
def test_a_larger_variance_is_told_only_where_the_intervals_are_apart(
    tmp_path: Path, variance: float, words: dict[str, str]
) -> None:
    """At sigma = 1 the rival's variance is 4; the intervals reach a tenth to both sides."""
    tables = write_tables(tmp_path / "tables", losers=())
    statistics = pd.read_csv(tables / "gradient_statistics.csv")
    changed = statistics.eval("environment == 'edge' and estimator == 'pathwise' and sigma == 1")
    for name, share in (("variance", 1.0), ("variance_low", 0.9), ("variance_high", 1.1)):
        statistics.loc[changed, name] = share * variance
    statistics.to_csv(tables / "gradient_statistics.csv", index=False)
    assert {name: str(reason) for name, reason in measured_reasons(Tables(tables)).items()} == words
    lose_edge_at_large_noise(tables)
    told = "where its variance is the larger (up to 1.2 times its rival’s, in edge) some in edge."
    assert (told in answer_sentences(Tables(tables))[1]) == bool(words)


def test_undecided_is_said_as_such(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=(), training=False)
    for name in ("verdicts", "verdicts_compute"):
        table = pd.read_csv(tables / f"{name}.csv", keep_default_na=False)
        table.loc[table["verdict"] == "pathwise", "verdict"] = "undecided"
        table.to_csv(tables / f"{name}.csv", index=False)
    sentences = answer_sentences(Tables(tables))
    assert "none of the 4 comparisons" in sentences[0]
    assert not any("wins" in sentence for sentence in sentences[:2])


def test_boundaries_skip_undecided_levels() -> None:
    rows = pd.DataFrame(
        {
            "sigma": [0.01, 0.1, 1.0],
            "checkpoint": [0.0, 0.0, 0.0],
            "verdict": ["pathwise", "undecided", "score_function"],
        }
    )
    assert [str(boundary) for boundary in boundaries(rows)[0.0]] == ["0.01 P → 1 S"]
