"""The claims ledger over real measurements: true of the estimators it speaks of, refuted by others under their names.

False alarms: a row of the true ledger fails if its whole interval lies outside the tolerance, which is at least as wide
as the interval's half width; the measured value has then strayed by more than five standard errors, less than once in
a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages._instances import make_environment
from scorepath.stages._ledger import Evidence
from scorepath.stages.claims import CLAIMS
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES
from scorepath.store.tables import Tables

pytestmark = pytest.mark.statistical

CELLS = {
    "quadratic": ("reinforce", "pathwise", "measure_valued", "zero_noise_baseline"),
    "cosine": ("deterministic_pathwise", "reinforce"),
    "step": ("pathwise", "inverse_variance", "boundary_corrected"),
    "soft_step": ("pathwise", "zero_noise_baseline"),
    "angle_doubling": ("pathwise", "reinforce", "zero_noise_baseline"),
}
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


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Measured as the default study does, in the cells that the claims need."""
    environments = [
        {"name": "quadratic", "family": "quadratic", "dimension": 1, "offset": 1.0},
        {"name": "cosine", "family": "cosine", "frequency": 10.0, "phase": 1.0},
        "step", "soft_step",
        {"name": "angle_doubling", "family": "angle_doubling", "doublings": 3},
    ]  # fmt: skip
    plan = small_plan(
        environments, noise_levels=[0.01, 0.03, 0.1, 0.3],
        estimators=list(dict.fromkeys(name for names in CELLS.values() for name in names)),
        gradients={"samples": 4096, "batch_size": 64, "dtype": "float32"}, statistics={"resamples": 1000},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("claims"))
        for name in plan.study.environments:
            reference_policies(plan, name)
            for sigma in plan.study.noise_levels:
                reference(plan, name, sigma)
        for cell in plan.running("gradients"):
            if cell.estimator in CELLS[cell.environment] and cell.sigma > 0:
                gradients(plan, cell.environment, cell.estimator, cell.sigma)
        tables(plan)
        found = Tables(Path.cwd() / TABLES)
        yield Evidence(
            found.read("gradient_statistics"), found.read("references"), found.read("verdicts"),
            found.read("regrets"), {},
            tuple(
                {"name": name, "family": entry.family, "knobs": asdict(make_environment(entry)[0])}
                for name, entry in plan.study.environments.items()
            ),
            1, 1000, lambda method: method,
        )  # fmt: skip


def ledger(found: Evidence) -> pd.DataFrame:
    return pd.DataFrame([judged for claim in CLAIMS for judged in claim(found)])


def test_the_ledger_holds(evidence: Evidence) -> None:
    found = ledger(evidence)
    assert set(found["claim"]) == set(IMPOSTORS)  # nothing is trained here
    assert (found["tolerance"] != "outside").all(), found
    assert (found["tolerance"] == "within").mean() > 0.7, found


@pytest.mark.parametrize("claim", IMPOSTORS)
def test_another_estimator_under_the_name_refutes(evidence: Evidence, claim: str) -> None:
    method, impostor = IMPOSTORS[claim]
    found = ledger(replace(evidence, called=lambda name: impostor if name == method else name))
    own = found[found["claim"] == claim]
    assert ((own["consistency"] == "inconsistent") & (own["tolerance"] == "outside")).any(), own
