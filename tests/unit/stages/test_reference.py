"""The stored references of an environment at one noise level, exact or by simulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.problems import at
from tests.helpers.small_studies import small_plan

from scorepath.environments.lqr import LQR
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.jumps import Jump
from scorepath.references.monte_carlo import OVERFLOWS, MonteCarloReference, certified_reference
from scorepath.rollout import Simulator
from scorepath.stages._references import load_policies, load_reference
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import policies_path, reference_path


def test_stored_exact_references_come_back(folder: Path) -> None:
    plan = small_plan([{"name": "mine", "family": "lqr", "horizon": 4}])
    reference_policies(plan, "mine")
    policies = load_policies("mine")
    assert policies.parameters.dtype == torch.float64
    assert policies.parameters.shape == (2, 1)
    assert policies.initial_return <= policies.returns[1].item() <= policies.best_return
    reference(plan, "mine", 0.1)
    found = load_reference("mine", 0.1)
    assert (found.reference_class, found.samples) == ("recursion", 0)
    assert found.certified_by == ["exact", "exact"]
    assert found.gradients.shape == (2, 1, 1)
    for parameters, gradient in zip(policies.parameters, found.gradients[:, 0], strict=True):
        environment = LQR(horizon=4)
        exact = exact_reference(at(environment, parameters, 0.1)).gradient
        assert torch.equal(gradient, exact)
    # nothing but the results is left, also of what was written before it was complete
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"policies.npz", "sigma=0.1.npz"}


def test_stored_monte_carlo_references_come_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorepath.references.checkpoints.CMA_GENERATIONS", 2)
    plan = small_plan([{"name": "mine", "family": "pendulum", "horizon": 3}])
    reference_policies(plan, "mine")
    reference(plan, "mine", 0.1)
    found = load_reference("mine", 0.1)
    assert (found.reference_class, found.samples) == ("certified_monte_carlo", 640)
    assert found.gradients.shape == (2, 16, load_policies("mine").parameters.shape[1])
    assert found.standard_error.shape == (2,)
    assert all(text.startswith("agrees") for text in found.certified_by)


def test_a_jump_that_one_policy_shows_blinds_the_derivatives_at_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorepath.references.checkpoints.CMA_GENERATIONS", 2)
    asked = []

    def estimate(simulator: Simulator, stream: Stream, **options: Any) -> MonteCarloReference:
        asked.append((stream.purpose, options.get("jumps", False)))
        found = certified_reference(simulator, stream, **options)
        return replace(found, jump=Jump(size=1.0, step=2, distance=1e-9)) if stream.purpose == "reference/0" else found

    monkeypatch.setattr("scorepath.stages.reference.certified_reference", estimate)
    plan = small_plan([{"name": "mine", "family": "pendulum", "horizon": 3}])
    reference_policies(plan, "mine")
    reference(plan, "mine", 0.3)
    assert asked == [("reference/0", False), ("reference/1", False), ("reference/1", True)]
    found = load_reference("mine", 0.3)
    assert [bool(each) for each in found.findings] == [True, False]
    assert "branches" in found.certified_by[0]
    assert "branches" not in found.certified_by[1]


def test_equal_studies_write_equal_bytes(folder: Path) -> None:
    plan = small_plan([{"name": "mine", "family": "lqr", "horizon": 4}])
    contents = []
    for _ in range(2):
        reference_policies(plan, "mine")
        reference(plan, "mine", 0.1)
        with np.load(reference_path("mine", 0.1)) as one, np.load(policies_path("mine")) as two:
            contents.append([one[key].tobytes() for key in one.files] + [two[key].tobytes() for key in two.files])
    assert contents[0] == contents[1]


def test_a_reference_that_overflows_is_not_certified_and_says_so(folder: Path) -> None:
    """Exact or simulated: the policies, the references and what is measured beside them are there all the same."""
    wild = {"name": "wild", "family": "lqr", "horizon": 20, "dynamics": [[1e30]], "control": [[0.5]]}
    plan = small_plan([wild])
    reference_policies(plan, "wild")
    assert load_policies("wild").returns.isnan().all()
    reference(plan, "wild", 0.1)
    found = load_reference("wild", 0.1)
    assert found.certified == [False, False]
    assert found.certified_by == [OVERFLOWS, OVERFLOWS]
    assert np.isinf(found.noticeable).all()
    simulated = certified_reference(
        at(LQR(horizon=20, dynamics=((1e30,),)), 0.0, 0.1), Stream(1, "", ""), 640, 16, 0.25
    )
    assert simulated.certified_by == OVERFLOWS
