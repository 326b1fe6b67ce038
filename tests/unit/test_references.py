"""Monte Carlo certification, reference policies and the files that hold both. Seeds are fixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.helpers.problems import at
from tests.helpers.small_studies import small_plan

from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.noise import Stream
from scorepath.references import checkpoints, monte_carlo
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import MonteCarloReference, certified_reference
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies, load_reference
from scorepath.stages.plan import make_plan
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import policies_path, reference_path
from scorepath.study.settings import Study

SYSTEM = LQR(horizon=4, initial_mean=1.0, initial_std=0.3, discount=0.9)
GAIN = torch.tensor([0.2], dtype=torch.float64)
BUDGET = 0.25


def certify(
    environment: Environment, parameters: torch.Tensor, sigma: float = 0.5, samples: int = 2**15
) -> MonteCarloReference:
    stream = Stream(3, "test", "reference/0")
    return certified_reference(at(environment, parameters, sigma), stream, samples, 64, BUDGET)


# --- certification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.5, 0.0])
def test_a_certified_reference_agrees_with_the_exact_gradient(sigma: float) -> None:
    """LQR treated as if nothing exact were known: certified, and within 5 of its standard errors (6e-7)."""
    found = certify(SYSTEM, GAIN, sigma)
    exact = exact_reference(at(SYSTEM, GAIN, sigma)).gradient
    assert found.gradients.shape == (64, 1)
    assert found.gradients.dtype == torch.float64
    assert found.certified
    assert found.certified_by.startswith("agrees with")
    assert "finite differences" in found.certified_by
    assert ("score function" in found.certified_by) == (sigma > 0)
    assert (found.gradients.mean(0) - exact).norm().item() < 5 * found.standard_error
    assert found.standard_error < 0.01 * exact.norm().item()
    # the stated error is that of the mean of independent blocks
    assert found.standard_error == pytest.approx(found.gradients.std().item() / 8, rel=1e-6)


def test_a_policy_with_hidden_layers_is_certified() -> None:
    policy = make_policy(Pendulum(horizon=5), hidden=(8,))
    parameters = policy.initial_parameters(np.random.default_rng(0))
    found = certified_reference(
        Simulator(Pendulum(horizon=5), policy, parameters, 0.3), Stream(3, "test", ""), 2**14, 64, BUDGET
    )
    assert found.certified


@pytest.mark.parametrize(("frequency", "rejected"), [(2.0, "score function"), (20.0, "reverse mode")])
def test_the_more_precise_estimate_is_the_reference(frequency: float, rejected: str) -> None:
    """Where ripples are finer than the noise, the derivative's variance k^2 / 2 exceeds the score's 1 / (2 sigma^2)."""
    found = certify(Cosine(frequency=frequency, phase=1.0), torch.zeros(1, dtype=torch.float64), 0.3, 2**13)
    assert rejected in found.certified_by
    assert 2**13 * found.standard_error**2 < min(frequency**2 / 2, 1 / (2 * 0.3**2)) * 1.5


def test_an_error_beyond_the_budget_is_not_certified() -> None:
    """Both estimates agree, but know too little."""
    found = certified_reference(at(SYSTEM, GAIN, 0.5), Stream(3, "test", "few"), 128, 64, 1e-3)
    assert not found.certified
    assert found.certified_by.startswith("not certified: its error exceeds 0.001 of its length; agrees with")


@pytest.mark.parametrize("wrong", ["reverse_mode", "finite_differences", "score_function"])
def test_a_wrong_estimate_is_not_certified(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 % off in any of the three is enough to refuse; the same samples certify what is right."""
    right = getattr(monte_carlo, wrong)
    monkeypatch.setattr(monte_carlo, wrong, lambda *arguments: 1.1 * right(*arguments))
    found = certify(SYSTEM, GAIN, samples=2**18)
    assert not found.certified
    assert found.certified_by.startswith("not certified: disagrees with")


class CalledContinuous(Step):
    """A step that claims to have none."""

    continuous = True


@pytest.mark.parametrize(("environment", "certified"), [(CalledContinuous(), False), (Step(), True)])
def test_a_gradient_blind_to_jumps_is_not_certified(environment: Environment, certified: bool) -> None:
    """Reverse mode is wrong at jumps, and the score function says so; where jumps are declared it is not asked."""
    found = certify(environment, torch.zeros(1, dtype=torch.float64), sigma=0.1)
    assert found.certified == certified
    if certified:
        exact = exact_reference(at(environment, 0.0, 0.1))
        assert (found.gradients.mean(0) - exact.gradient).norm().item() < 5 * found.standard_error


def test_the_estimates_share_no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three streams, none of them that of the measurement, so that agreement is evidence."""
    purposes = []
    for name in ("reverse_mode", "finite_differences", "score_function"):
        original = getattr(monte_carlo, name)

        def record(simulator, stream, *rest, original=original):
            purposes.append(stream.purpose)
            return original(simulator, stream, *rest)

        monkeypatch.setattr(monte_carlo, name, record)
    certify(SYSTEM, GAIN, samples=256)
    assert len(set(purposes)) == 3
    assert all(purpose.startswith("reference/0/") for purpose in purposes)


# --- reference policies ---------------------------------------------------------------------------------------------

STUDY = Study.from_config(make_plan(yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())).config)
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


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_equal_studies_write_equal_bytes(folder: Path) -> None:
    plan = small_plan([{"name": "mine", "family": "lqr", "horizon": 4}])
    contents = []
    for _ in range(2):
        reference_policies(plan, "mine")
        reference(plan, "mine", 0.1)
        with np.load(reference_path("mine", 0.1)) as one, np.load(policies_path("mine")) as two:
            contents.append([one[key].tobytes() for key in one.files] + [two[key].tobytes() for key in two.files])
    assert contents[0] == contents[1]


def test_a_missing_file_names_the_command_that_makes_it(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"snakemake --cores 1 results/references/mine/policies\.npz"):
        load_policies("mine")


@pytest.mark.parametrize("damage", ["empty", "text", "cut in half"])
def test_an_unreadable_file_is_named(folder: Path, damage: str) -> None:
    plan = small_plan([{"name": "mine", "family": "quadratic"}])
    reference_policies(plan, "mine")
    path = policies_path("mine")
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no arrays here")
        case "cut in half":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"results/references/mine/policies\.npz cannot be read .*delete it"):
        load_policies("mine")
