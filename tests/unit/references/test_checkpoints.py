"""Reference policies lie at their gaps on the way to the best return."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
import yaml
from tests.helpers.places import ROOT

from scorepath import registry
from scorepath.environments.base import make_policy
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.noise import Stream
from scorepath.references import checkpoints
from scorepath.references.checkpoints import climb_simulated
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages.plan import make_plan
from scorepath.study.settings import Study

STUDY = Study.from_config(make_plan(yaml.safe_load((ROOT / "config.yaml").read_text())).config)
EXACT = [
    name
    for name, entry in STUDY.environments.items()
    if registry.load(registry.ENVIRONMENTS, entry.family).reference_class != "certified_monte_carlo"
]


@pytest.mark.parametrize("name", EXACT)
def test_checkpoints_lie_at_their_gaps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every environment of the default study that has an exact objective, at the gaps and noise level stated there."""
    monkeypatch.setattr("scorepath.references.quadrature.MOST_NODES", 2**13)
    environment, policy = make_environment(STUDY.environments[name])
    gaps, sigma = STUDY.references.return_gaps, STUDY.references.noise_level
    stream = Stream(STUDY.seed, name, "reference policies")
    found = checkpoints.reference_policies(environment, policy, sigma, gaps, stream)
    assert found.best_return > found.initial_return
    start = policy.initial_parameters(stream.generator(0, "initial parameters"))
    assert torch.equal(found.parameters[0], start)
    for gap, parameters, stored in zip(gaps, found.parameters, found.returns, strict=True):
        objective = exact_reference(Simulator(environment, policy, parameters, sigma)).objective
        assert objective == pytest.approx(stored.item(), rel=1e-4)
        covered = (objective - found.initial_return) / (found.best_return - found.initial_return)
        assert covered == pytest.approx(gap, abs=1e-3)


def test_the_climb_reaches_the_optimum_of_lqr() -> None:
    environment = LQR()
    policy = make_policy(environment)
    found = checkpoints.reference_policies(environment, policy, 0.3, (1.0,), Stream(1, "lqr", ""))
    gains = torch.linspace(-2, 0, 51, dtype=torch.float64)
    best = max(environment.expected_return(policy, gain[None], 0.3).item() for gain in gains)
    assert found.best_return >= best - 1e-9
    assert exact_reference(Simulator(environment, policy, found.parameters[0], 0.3)).gradient.norm() < 1e-3


def test_checkpoints_of_a_simulated_climb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an exact objective they lie at the gaps of the simulated one."""
    monkeypatch.setattr("scorepath.references.checkpoints.CMA_GENERATIONS", 6)
    environment = Pendulum(horizon=10)
    policy = make_policy(environment, hidden=(4,))
    found = checkpoints.reference_policies(environment, policy, 0.3, (0.0, 0.5, 0.95), Stream(1, "pendulum", ""))
    assert found.best_return > found.initial_return
    covered = (found.returns.numpy() - found.initial_return) / (found.best_return - found.initial_return)
    assert covered == pytest.approx([0.0, 0.5, 0.95], abs=0.02)


STREAM = Stream(5, "test", "gymnasium")


def test_the_search_for_policies_keeps_to_its_steps() -> None:
    class Slow(Pendulum):
        search_steps: ClassVar[float] = 2.5 * 32 * 64 * 3

    environment = Slow(horizon=3)
    policy = make_policy(environment, "linear")
    path = climb_simulated(environment, policy, torch.zeros(3, dtype=torch.float64), 0.1, STREAM)
    assert len(path) == 1 + 2


def test_where_steps_are_slow_to_place_checkpoints_costs_as_much_as_the_search_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulated: list[int] = []
    steps = Pendulum.step

    def counted(self: Pendulum, state: torch.Tensor, action: torch.Tensor, noise: torch.Tensor) -> object:
        simulated.append(state[..., 0].numel())
        return steps(self, state, action, noise)

    monkeypatch.setattr(Pendulum, "step", counted)
    environment = Pendulum(horizon=10)
    policy = make_policy(environment, "linear")

    def spent(limit: float) -> int:
        monkeypatch.setattr(Pendulum, "search_steps", limit)
        simulated.clear()
        checkpoints.reference_policies(environment, policy, 0.1, (0.0, 0.5), Stream(1, "pendulum", ""))
        return sum(simulated)

    assert spent(1e5) <= 2e5
    assert spent(3e5) > 2e5
