"""The advisor's part of the report: a row per rule, sentences that count, nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from scorepath.figures.wording import label, number
from scorepath.reporting.advisor import QUANTITIES, advisor_rows, advisor_sentences
from scorepath.store.tables import COLUMNS, Tables


def tables(folder: Path, scores: bool = True) -> Tables:
    rows = [
        {"criterion": "equal_samples", "rule": rule, "quantity": name, "value": 0.25, "value_low": 0.2,
         "value_high": 0.3, "places": 50, "families": 7, "environments": 9}
        for rule in ("advisor", "always <pathwise>")
        for name in (*QUANTITIES, *(("coverage", "accuracy_answered") if rule == "advisor" else ()))
    ]  # fmt: skip
    pd.DataFrame(rows if scores else [], columns=COLUMNS["advisor"]).to_csv(folder / "advisor.csv", index=False)
    place = {"comparison": "pathwise_vs_best_score_function", "sigma": 0.1, "checkpoint": 0.0}
    verdicts = [
        {**place, "environment": environment, "criterion": criterion, "verdict": verdict,
         "statistic": "log10_mse_ratio" if criterion == "equal_samples" else "score_difference"}
        for environment, of_gradients, of_training in (
            ("a", "pathwise", "pathwise"), ("b", "pathwise", "score_function"), ("c", "pathwise", "undecided"),
            ("d", "score_function", "score_function"), ("e", "pathwise", "not_applicable"),
        )
        for criterion, verdict in (("equal_samples", of_gradients), ("training", of_training))
    ]  # fmt: skip
    pd.DataFrame(verdicts, columns=COLUMNS["verdicts"]).to_csv(folder / "verdicts.csv", index=False)
    return Tables(folder)


def rendered(found: Tables) -> str:
    environment = Environment(
        loader=PackageLoader("scorepath.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=number, label=label)
    return environment.get_template("advisor.html.j2").render(
        advisor=advisor_rows(found), advisor_columns=QUANTITIES, advisor_sentences=advisor_sentences(found)
    )


def test_rules_are_rows_and_sentences_count(tmp_path: Path) -> None:
    page = rendered(tables(tmp_path))
    assert page.count("<tr><th scope=") == 3
    assert "always &lt;pathwise&gt;" in page
    assert "answers 25 % [20, 30] and is right in 25.0 %" in page
    assert "3 places of those trained have a winner of both, and at 2 it is the same" in page
    assert "at 1 place where pathwise has the smaller error at the start, training shows no winner" in page


def test_without_scores_there_is_nothing(tmp_path: Path) -> None:
    assert not rendered(tables(tmp_path, scores=False)).strip()
    assert not rendered(Tables(tmp_path / "nowhere")).strip()
