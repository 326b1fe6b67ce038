"""The answer follows the data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_tables import write_tables

from scorepath.reporting.answer import boundaries, decisions, evidence, measured_reasons
from scorepath.reporting.summaries import scope
from scorepath.store.tables import Tables


def test_answer_follows_the_data(tmp_path: Path) -> None:
    told = evidence(Tables(write_tables(tmp_path / "one")))
    first, where, flips = told["who"], told["where"], told["changes"]
    assert "in 4 of 8 decided comparisons" in first
    assert "2 environments, 0 undecided" in first
    assert where == (
        "On the levels tried it wins every decided comparison in smooth. "
        "It loses where it is biased (up to 100 % of the gradient, in edge) every decided one in edge."
    )
    assert flips == "In no environment does the winner change between the noise levels tried."
    told = evidence(Tables(write_tables(tmp_path / "two", losers=())))
    assert "in 8 of 8 decided comparisons" in told["who"]
    assert told["where"] == "On the levels tried it wins every decided comparison in smooth and edge."
    assert "in 0 of 4 decided" in evidence(Tables(write_tables(tmp_path / "three", ("edge",))))["who"]


def test_whatever_is_decided_is_counted_of_what_is_decided(tmp_path: Path) -> None:
    who = evidence(Tables(write_tables(tmp_path)))["who"]
    assert who.endswith("; at equal measured seconds in 4 of 8 (0 undecided) and in training none is decided"
                        " (2 undecided).")  # fmt: skip


def test_policies_of_one_environment_are_told_apart(tmp_path: Path) -> None:
    """Where it wins with one initial policy and loses with another; and the scope counts them as what they are."""
    tables = Tables(write_tables(tmp_path), originals={"edge": "smooth"})
    where = evidence(tables)["where"]
    assert "wins every decided comparison in smooth (initial policy 1)." in where
    assert "every decided one in smooth (initial policy 2)." in where
    assert scope(tables).startswith("Scope: 2 environments (2 of them are smooth with as many policies), ")
    assert scope(Tables(tables.folder)).startswith("Scope: 2 environments, ")


def test_the_scope_counts_what_was_measured_compared_or_not(tmp_path: Path) -> None:
    """Two environments of 7 cells each, at a noise level of 0 too; one has no reference, so nothing is compared."""
    tables = write_tables(tmp_path)
    expected = "Scope: 2 environments, 3 noise levels (σ from 0 to 1), 2 stages of training, 3 estimators; 14 cells; "
    assert scope(Tables(tables)).startswith(expected)
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    verdicts.loc[verdicts["environment"] == "edge", "verdict"] = "not_applicable"
    verdicts.to_csv(tables / "verdicts.csv", index=False)
    assert scope(Tables(tables)).startswith(expected)
    assert "In 4 of 4 comparisons" in scope(Tables(tables))


def lose_edge_at_large_noise(tables: Path) -> None:
    verdicts = pd.read_csv(tables / "verdicts.csv", keep_default_na=False)
    changed = (verdicts["environment"] == "edge") & (verdicts["sigma"].astype(float) == 1.0)
    verdicts.loc[changed & verdicts["criterion"].str.startswith("equal"), "verdict"] = "score_function"
    verdicts.to_csv(tables / "verdicts.csv", index=False)


def test_answer_names_where_the_winner_changes(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", losers=())
    lose_edge_at_large_noise(tables)
    told = evidence(Tables(tables))
    assert told["changes"] == (
        "On the levels tried the winner changes with the noise in 1 environment, each time from pathwise at the"
        " smaller to the score function at the larger noise: between σ = 0.1 and 1."
    )
    assert told["where"] == "On the levels tried it wins every decided comparison in smooth. It loses some in edge."
    rows, columns = decisions(Tables(tables))
    edge = next(row for row in rows if row.environment == "edge")
    assert edge.boundary == ("0.1 P → 1 S",)
    assert [mark.code for mark in edge.marks["equal_samples"]] == ["P", "S"]
    assert columns["equal_samples"] == ["0.1", "1"]
    assert "equal_steps" not in columns  # the same verdicts as at equal samples


@pytest.mark.parametrize(
    ("variance", "words"), [(10.0, {"edge": "variance at least 2.0 times its rival’s"}), (4.5, {})]
)
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
    told = "where its variance is the larger (at least 2.0 times its rival’s, in edge) some in edge."
    assert (told in evidence(Tables(tables))["where"]) == bool(words)


def test_exact_curves_tell_of_every_crossing(tmp_path: Path) -> None:
    """Those between the levels too, and that they contradict a clean sweep; not those beyond the study's levels."""
    tables = write_tables(tmp_path / "tables", losers=())
    curves = pd.read_csv(tables / "exact_curves.csv")
    found = [
        {"environment": "edge", "estimator": "leave_one_out", "quantity": "crossing", "sigma": sigma, "value": value}
        for sigma, value in ((0.6867, 1), (0.3786, -1), (1.5, -1), (0.05, -1))
    ]
    pd.concat([curves, pd.DataFrame(found)]).to_csv(tables / "exact_curves.csv", index=False)
    told = evidence(Tables(tables))["curves"]
    assert told.endswith(
        "(S: leave one out) have equal errors at σ = 0.379 P → S; 0.687 S → P (edge). So pathwise does not win"
        " everywhere in edge, whatever the levels tried say."
    )
    (edge,) = [row for row in decisions(Tables(tables))[0] if row.environment == "edge"]
    assert edge.boundary == ("exact: 0.379 P → S", "exact: 0.687 S → P")


def test_undecided_is_said_as_such(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", ("smooth",), losers=(), training=False)
    for name in ("verdicts", "verdicts_compute"):
        table = pd.read_csv(tables / f"{name}.csv", keep_default_na=False)
        table.loc[table["verdict"] == "pathwise", "verdict"] = "undecided"
        table.to_csv(tables / f"{name}.csv", index=False)
    told = evidence(Tables(tables))
    assert "none of the 4 comparisons" in told["who"]
    assert "wins" not in told["who"] + told.get("where", "")


def test_boundaries_skip_undecided_levels() -> None:
    rows = pd.DataFrame(
        {
            "sigma": [0.01, 0.1, 1.0],
            "checkpoint": [0.0, 0.0, 0.0],
            "verdict": ["pathwise", "undecided", "score_function"],
        }
    )
    assert [str(boundary) for boundary in boundaries(rows)[0.0]] == ["0.01 P → 1 S"]
