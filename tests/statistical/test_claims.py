"""The claims ledger over real measurements: true of the estimators it speaks of, refuted by others under their names,
and by mutants of what was measured or of the formulas that predict it.

False alarms: a row of the true ledger fails if its whole interval lies outside the tolerance, which is at least as wide
as the interval's half width; the measured value has then strayed by more than five standard errors, less than once in
a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.helpers.ledger import MUTANTS, default_cells, instances, ledger, mixtures, refuted, unmoved

from scorepath.stages._ledger import Evidence
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES
from scorepath.store.tables import Tables

pytestmark = pytest.mark.statistical

ESTIMATORS = (
    "reinforce", "leave_one_out", "pathwise", "deterministic_pathwise", "measure_valued", "inverse_variance",
    "total_propagation", "zero_noise_baseline", "boundary_corrected",
)  # fmt: skip
IMPOSTORS = {
    "small-noise": ("reinforce", "zero_noise_baseline"),
    "deterministic-limit": ("deterministic_pathwise", "reinforce"),
    "step-bias": ("pathwise", "boundary_corrected"),
    "ivw-blind": ("inverse_variance", "boundary_corrected"),
    "no-universal-ranking": ("measure_valued", "zero_noise_baseline"),
    "empirical-bias": ("pathwise", "zero_noise_baseline"),
    "chaos": ("pathwise", "zero_noise_baseline"),
}
"""By claim: the method that it speaks of, and another that is put in its place."""


OVER_ENVIRONMENTS = ("mix-when-in-doubt", "mixing-arena")
"""These are six here, too few to say much of a mean over them."""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """What the default study measures in the cells that the claims need; nothing is trained."""
    plan = default_cells(ESTIMATORS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("claims"))
        for name in plan.study.environments:
            reference_policies(plan, name)
            for sigma in plan.study.noise_levels:
                reference(plan, name, sigma)
        for cell in plan.running("gradients"):
            gradients(plan, cell.environment, cell.estimator, cell.sigma)
        tables(plan)
        found = Tables(Path.cwd() / TABLES)
        yield Evidence(
            found.read("gradient_statistics"), found.read("references"), found.read("training"),
            found.read("regrets"), mixtures(plan), instances(plan), lambda method: method,
        )  # fmt: skip


def test_the_ledger_holds(evidence: Evidence) -> None:
    found = ledger(evidence)
    assert set(found["claim"]) == {mutant.claim for mutant in MUTANTS} - {"learning-follows-mse"}
    assert (found["tolerance"] != "outside").all(), found
    of_one = ~found["claim"].isin(OVER_ENVIRONMENTS)
    assert (found.loc[of_one, "tolerance"] == "within").mean() > 0.7, found


@pytest.mark.parametrize("claim", IMPOSTORS)
def test_another_estimator_under_the_name_refutes(evidence: Evidence, claim: str) -> None:
    method, impostor = IMPOSTORS[claim]
    found = ledger(replace(evidence, called=lambda name: impostor if name == method else name))
    own = found[found["claim"] == claim]
    assert refuted(own).any(), own


def test_every_row_has_a_mutant_that_refutes_it_with_the_intervals_of_the_study(evidence: Evidence) -> None:
    made = {str(mutant): mutant.ledger(evidence) for mutant in MUTANTS}
    assert not unmoved(ledger(evidence), made)
