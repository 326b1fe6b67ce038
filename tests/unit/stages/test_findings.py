"""A stranger's continuity is not taken on trust: what a study's data refute is said everywhere, and nothing claimed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.provenance.findings import print_findings, sentences
from scorepath.reporting.answer import answer_sentences
from scorepath.reporting.numbers import readable
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES
from scorepath.store.tables import Tables
from scorepath.study.wording import ConfigError

ENVIRONMENT = '''
from dataclasses import dataclass

import torch

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Point(Environment):
    """A point on a line, with a bonus on one side of it."""

    bonus: float = 0.0

    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state, action, process_noise):
        place = action[..., 0]
        return state, -(place - 0.3) ** 2 + self.bonus * (place > 0.05)
'''
SENTENCE = "declared continuous, but the return jumps by 1 at step 1 of 1, between two actions "


def computed(folder: Path, bonus: float) -> pd.DataFrame:
    """The verdicts of a small study of it against REINFORCE, at equal samples and sigma = 0.1."""
    (folder / "point.py").write_text(ENVIRONMENT)
    plan = small_plan(
        [{"name": "mine", "family": "point", "bonus": bonus}],
        plugins=["point.py"],
        estimators=["reinforce", "pathwise"],
        references={"noise_level": 0.1, "return_gaps": [0.0, 0.5], "samples": 16384, "error_budget": 0.25},
        gradients={"samples": 1024, "batch_size": 32, "dtype": "float32"},  # of fewer a heavy tail tells too little
        statistics={"resamples": 200},
    )
    reference_policies(plan, "mine")
    for sigma in plan.study.noise_levels:
        reference(plan, "mine", sigma)
    for cell in plan.running("gradients"):
        gradients(plan, cell.environment, cell.estimator, cell.sigma)
    tables(plan)
    verdicts = Tables(TABLES).read("verdicts")
    return verdicts[(verdicts["sigma"] > 0) & (verdicts["criterion"] == "equal_samples")]


@pytest.fixture(autouse=True)
def few_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorepath.references.checkpoints.CMA_GENERATIONS", 2)


def test_what_cannot_be_proved_can_be_measured(folder: Path) -> None:
    """Pathwise wins by far more than any bias could make up for that the reference would have missed."""
    verdicts = computed(folder, bonus=0.0)
    assert set(verdicts["verdict"]) == {"pathwise"}
    references = Tables(TABLES).read("references")
    assert references["noticeable_bias"].between(0, 0.5).all()
    assert set(references["finding"]) == {""}
    assert sentences() == []


def test_a_jump_that_check_finds_is_refused_before_anything_is_computed(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"declared continuous, but the return jumps by 1 .*declare continuous = False"
    ):
        computed(folder, bonus=1.0)


def test_a_jump_that_only_the_study_meets_withholds_the_verdicts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Instead of them there is the sentence, as in the table, the answer (which opens the report) and at the end."""
    monkeypatch.setattr("scorepath.conformance.trajectories.largest_jump", lambda *_: None)
    verdicts = computed(folder, bonus=1.0)
    assert set(verdicts["verdict"]) == {"not_applicable"}
    assert all(reason.startswith(SENTENCE) for reason in verdicts["reason"])
    assert all(reason.endswith("declare continuous = False") for reason in verdicts["reason"])
    references = Tables(TABLES).read("references")
    assert references.loc[references["sigma"] > 0, "finding"].str.startswith(SENTENCE).any()
    (sentence,) = sentences()
    assert sentence.startswith(f"mine is {SENTENCE}")
    assert answer_sentences(Tables(TABLES))[-1] == readable(sentence)
    print_findings()
    assert capsys.readouterr().err == f"{sentence}\n"


def test_without_a_table_nothing_is_refuted(folder: Path) -> None:
    assert sentences() == []
    assert sentences(folder) == []
