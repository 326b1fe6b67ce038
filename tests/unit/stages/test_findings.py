"""A stranger's continuity is not taken on trust: what a study's data refute is said everywhere, and nothing claimed."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import norm
from tests.helpers.small_studies import small_plan

from scorepath.provenance.findings import print_findings, sentences
from scorepath.reporting.answer import answer_sentences
from scorepath.reporting.numbers import readable
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES
from scorepath.store.tables import UNCERTIFIED, Tables
from scorepath.study.wording import ConfigError

ENVIRONMENT = '''
from dataclasses import dataclass

import torch

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Point(Environment):
    """A point on a line, with a bonus between two edges, which are jumps or, of some width, ramps."""

    bonus: float = 0.0
    edge: float = 0.05
    until: float = 1e9
    width: float = 0.0

    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state, action, process_noise):
        place = action[..., 0]
        between = self.beyond(self.edge, place) - self.beyond(self.until, place)
        return state, -(place - 0.3) ** 2 + self.bonus * between

    def beyond(self, edge, place):
        return ((place - edge) / self.width).clamp(0, 1) if self.width else 1.0 * (place > edge)
'''
SENTENCE = r"declared continuous, but at sigma = 0(\.1)?, checkpoint 0(\.5)?, the return jumps by 1 at step 1 of 1"
NO_COMPARISON = (
    "This study makes no comparison of pathwise with a score-function estimator: without action noise the policy has no"
    " score function."
)
"""With it the finding says why."""


def computed(folder: Path, noise_levels: tuple[float, ...] = (0.0, 0.1), **knobs: float) -> pd.DataFrame:
    """The verdicts of a small study of it against REINFORCE, at equal samples and sigma > 0."""
    (folder / "point.py").write_text(ENVIRONMENT)
    plan = small_plan(
        [{"name": "mine", "family": "point", **knobs}],
        noise_levels=list(noise_levels),
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
    assert set(references["jump_share"]) == {0.0}
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
    assert verdicts["reason"].str.match(SENTENCE).all()
    assert all(reason.endswith("declare continuous = False") for reason in verdicts["reason"])
    references = Tables(TABLES).read("references")
    assert references.loc[references["sigma"] > 0, "finding"].str.match(SENTENCE).any()
    (sentence,) = sentences()
    assert re.match("mine is " + SENTENCE, sentence)
    assert answer_sentences(Tables(TABLES))[0] == NO_COMPARISON
    assert answer_sentences(Tables(TABLES))[-1] == readable(sentence)
    print_findings()
    assert capsys.readouterr().err == f"{sentence}\n"


BONUS = {"bonus": 1e-3, "edge": 3e-3, "until": 5e-3}
"""With ramps at its ends it is out of the ordinary for little noise around 0 only: with more it is small beside the
parabola, and the second checkpoint is further away. Jumps are found there all the same, if they are met."""


def test_a_ramp_withholds_the_verdicts_of_its_own_place_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which, and how many trajectories fall on it: 1e-5 times the densities at 0.3 and 0.5 standard deviations,
    in order of magnitude."""
    verdicts = computed(folder, (0.01, 0.1), width=1e-7, **BONUS)
    here = (verdicts["sigma"] == 0.01) & (verdicts["checkpoint"] == 0.0)
    assert set(verdicts.loc[here, "verdict"]) == {"not_applicable"}
    assert len(verdicts[~here]) == 3 * here.sum()
    assert set(verdicts.loc[~here, "verdict"]) == {"pathwise"}
    (finding,) = set(verdicts.loc[here, "reason"])
    assert finding.startswith("at sigma = 0.01, checkpoint 0, the return changes by 0.001 at step 1 of 1 between ")
    assert finding.endswith(" of 1,024 trajectories fall")
    references = Tables(TABLES).read("references")
    (found,) = references[references["finding"] != ""].to_dict("records")
    assert (found["sigma"], found["checkpoint"], found["finding"]) == (0.01, 0.0, finding)
    assert 0.1 < found["jump_share"] / (1e-5 * norm.pdf([0.3, 0.5]).sum()) < 10
    (sentence,) = sentences()
    assert sentence == f"mine: {finding}. Verdicts on its pathwise gradients are withheld there."
    assert answer_sentences(Tables(TABLES))[-1] == readable(sentence)
    print_findings()
    assert capsys.readouterr().err == f"{sentence}\n"


def test_a_jump_withholds_the_verdicts_of_places_where_it_is_not_met(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the second checkpoint with little noise: a return that jumps anywhere is not continuous."""
    monkeypatch.setattr("scorepath.conformance.trajectories.largest_jump", lambda *_: None)
    verdicts = computed(folder, (0.01, 0.1), **BONUS)
    assert set(verdicts["verdict"]) == {"not_applicable"}
    found = r"declared continuous, but at sigma = 0\.\d+, checkpoint 0(\.5)?, the return jumps by 0\.001 at step 1 of 1"
    assert verdicts["reason"].str.match(found).all()
    references = Tables(TABLES).read("references")
    unseen = references[references["finding"] == ""]
    assert unseen[["sigma", "checkpoint"]].to_numpy().tolist() == [[0.01, 0.5]]
    assert set(references["jump_share"]) == {0.0}
    (sentence,) = sentences()
    assert re.match("mine is " + found, sentence)


def test_a_jump_at_one_noise_level_leaves_no_derivative_certified_at_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little noise no trajectory meets it, and the derivative agrees with all witnesses."""
    monkeypatch.setattr("scorepath.conformance.trajectories.largest_jump", lambda *_: None)
    computed(folder, (0.01, 0.1), bonus=-0.1, edge=-0.2, until=-0.1)
    references = Tables(TABLES).read("references")
    quiet = references[(references["sigma"] == 0.01) & (references["finding"] == "")]
    assert len(quiet) > 0
    assert set(quiet["estimated_by"]) == {"reverse mode"}
    assert set(quiet["reference_class"]) == {UNCERTIFIED}
    said = "not certified: derivatives are blind to a jump (declared continuous, but at sigma = 0.1, checkpoint 0, "
    assert quiet["certified_by"].str.startswith(said).all()
    assert quiet["certified_by"].str.contains("continuous = False); agrees with ", regex=False).all()
    assert not (references["estimated_by"] == "reverse mode")[references["finding"] != ""].any()


def test_a_sentence_per_environment_and_a_jump_before_ramps(folder: Path) -> None:
    TABLES.mkdir(parents=True)
    (TABLES / "references.csv").write_text(
        "environment,finding,jump_share\n"
        "both,here a ramp,1e-06\nboth,declared wrongly,0\nboth,declared wrongly,0\n"
        "ramps,at one place a ramp,1e-06\nramps,,0\nramps,at another,2e-06\nramps,at a third,1e-07\n"
        "none,,0\n"
    )
    assert sentences() == [
        "both is declared wrongly. Verdicts on its pathwise gradients are withheld.",
        "ramps: at one place a ramp. Verdicts on its pathwise gradients are withheld there and at 2 more (table "
        "references).",
    ]


def test_environments_that_are_not_finite_are_named_with_the_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end of a run and in the answer; once each, with the largest share."""
    TABLES.mkdir(parents=True)
    (TABLES / "gradient_statistics.csv").write_text(
        "environment,estimator,nonfinite_fraction\nflag,leave_one_out,0.5\nflag,pathwise,1\ndial,pathwise,0\n"
    )
    sentence = (
        "flag: up to 100 % of an estimator's samples are not finite, where it wins nothing."
        " `scorepath check` on the environment's file says where nan or an overflow comes from."
    )
    assert sentences() == [sentence]
    print_findings()
    assert capsys.readouterr().err == f"{sentence}\n"
    assert answer_sentences(Tables(TABLES))[-1] == readable(sentence)


def test_without_a_table_nothing_is_refuted(folder: Path) -> None:
    assert sentences() == []
    assert sentences(folder) == []
