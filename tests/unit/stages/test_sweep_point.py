"""Points of sweeps hold what the exact values are, bias included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.small_studies import small_plan

import scorepath as sp
from scorepath.environments.step import Step
from scorepath.stages.sweep import sweep
from scorepath.stages.sweep_point import sweep_point
from scorepath.store.paths import diagram_path, point_path
from scorepath.study.wording import ConfigError


def swept(family: str, rivals: list[str], **knobs: object) -> pd.DataFrame:
    """The replicates of one point, sigma = 0.3, 2048 batches of 16."""
    entry = {
        "name": "here", "family": family, "axes": {"sigma": [0.3, 0.5]}, "rivals": rivals,
        "quantity": "squared_error", "batch_size": 16, "batches": 2048, **knobs,
    }  # fmt: skip
    plan = small_plan([family], sweeps=[entry])
    sweep_point(plan, "here", "sigma=0.3")
    sweep(plan, "here")
    return pd.read_csv(point_path("here", "sigma=0.3"))


def test_a_biased_estimators_error_is_its_variance_and_what_unbiased_rivals_see(folder: Path) -> None:
    """On a step pathwise is 0, and its error the squared gradient. Five standard errors: false alarms 6e-7."""
    found = swept("step", ["leave_one_out", "reinforce"], edge=0.1)
    pathwise, rival = (found[found["estimator"] == name] for name in ("pathwise", "leave_one_out"))
    assert (pathwise["variance"] == 0).all()
    square = float(sp.exact_reference(sp.Simulator(Step(edge=0.1), sigma=0.3)).gradient.square().sum())
    error = pathwise["squared_error"].std() / len(pathwise) ** 0.5
    assert abs(pathwise["squared_error"].mean() - square) < 5 * error
    assert error < 0.1 * square
    assert (rival["squared_bias"] == 0).all()
    np.testing.assert_allclose(rival["squared_error"], rival["variance"] / 16)
    diagram = pd.read_csv(diagram_path("here"))
    assert set(diagram["kind"]) == {"measured"}, "a bias is in no exact curve of variances"
    value = diagram.loc[(diagram["rival"] == "leave_one_out") & (diagram["x"] == 0.3), "value"].item()
    assert value == pytest.approx(np.log10(rival["squared_error"].mean() / pathwise["squared_error"].mean()))


def test_where_nothing_is_biased_errors_are_variances(folder: Path) -> None:
    found = swept("cosine", ["reinforce"], frequency=2.0, phase=1.0)
    assert (found["squared_bias"] == 0).all()
    np.testing.assert_allclose(found["squared_error"], found["variance"] / 16)
    assert set(pd.read_csv(diagram_path("here"))["kind"]) == {"measured", "exact"}


def test_an_environment_that_steps_in_float64_is_measured_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[torch.dtype] = set()
    step = Step.step

    def watched(self: Step, state: torch.Tensor, action: torch.Tensor, noise: torch.Tensor) -> object:
        seen.add(action.dtype)
        return step(self, state, action, noise)

    monkeypatch.setattr(Step, "step", watched)
    monkeypatch.setattr(Step, "steps_in_float64", True)
    swept("step", ["reinforce"])
    assert seen == {torch.float64}


def test_an_error_that_no_rival_can_tell_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sweeps\[0\] \(here\) at sigma=0.3: .* add leave_one_out to rivals"):
        swept("step", ["total_propagation"])
