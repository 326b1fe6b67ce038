"""Gymnasium both ways: Scorepath's environments as its checks want them, and its own environments as pure functions."""

from __future__ import annotations

import dataclasses
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tests.helpers.problems import at
from torch import Tensor

from scorepath import registry
from scorepath.environments import gymnasium as family
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.gymnasium import Gymnasium
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.gymnasium_export import ScorepathEnv, ScorepathVectorEnv
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.references import monte_carlo
from scorepath.references.checkpoints import climb_simulated
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import certified_reference
from scorepath.rollout import Simulator, Trajectories
from scorepath.stages.plan import make_plan
from scorepath.statistics import null_distance
from scorepath.study.cells import Plan
from scorepath.study.wording import ConfigError

NOISY = LQR(horizon=4, initial_mean=1.0, process_noise=0.1, reward_noise=0.3, discount=0.8)
STREAM = Stream(5, "test", "gymnasium")
ADVICE = ("symmetric and normalized", "minimum value is -infinity", "maximum value is infinity")
"""What the checkers warn of and is meant: actions beyond [-1, 1] and unbounded observations."""


@dataclass(frozen=True, kw_only=True)
class Race(Environment):
    """Deterministic; every episode ends when its position passes 1, each at a time of its own, and then pays 10."""

    reference_class: ClassVar = "certified_monte_carlo"
    source: ClassVar[str] = "test"
    horizon: int = 6

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        going = self.active(state)[..., None]
        return torch.where(going, state + action, state), torch.where(going, action, 0.0)[..., 0]

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] < 1

    def terminal_reward(self, state: Tensor) -> Tensor:
        return 10 * (~self.active(state)).to(state)


# --- Scorepath's environments in Gymnasium ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names(registry.ENVIRONMENTS))
def test_every_family_passes_the_checks_of_gymnasium_and_of_stable_baselines(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines

    env = gymnasium.make(f"scorepath/{name}-v0").unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
        check_for_stable_baselines(env)
    assert [str(w.message) for w in caught if not any(advice in str(w.message) for advice in ADVICE)] == []


def episode_noise(environment: Environment, seed: int) -> RolloutNoise:
    """The draws of one exported episode, in the order in which it makes them; no action noise."""
    generator, _ = gymnasium.utils.seeding.np_random(seed)
    initial = generator.standard_normal((1, 1, environment.initial_noise_dim))
    steps = []
    for _ in range(environment.horizon):
        process = generator.standard_normal(environment.process_noise_dim)
        reward = generator.standard_normal(1) if environment.reward_noise > 0 else np.zeros(0)
        steps.append((process, reward))
    process, reward = (torch.from_numpy(np.stack(draws))[None, None] for draws in zip(*steps, strict=True))
    action = torch.zeros(1, 1, environment.horizon, environment.action_dim, dtype=torch.float64)
    return RolloutNoise(torch.from_numpy(initial), action, process, reward)


@pytest.mark.parametrize(
    "environment",
    [NOISY, Chain(states=3, horizon=5, discount=0.9), Pendulum(horizon=3), Race(discount=0.9)],
    ids=lambda e: type(e).__name__,
)
def test_an_episode_has_scorepaths_return(environment: Environment) -> None:
    """The same normals and the same actions: equal discounted returns, terminal reward and reward noise included."""
    policy = make_policy(environment, hidden=(4,))
    parameters = torch.linspace(0.1, 0.6, policy.parameter_count, dtype=torch.float64)
    expected = Simulator(environment, policy, parameters, 0.0).rollout(episode_noise(environment, seed=3))
    env = ScorepathEnv(environment)
    observation, _ = env.reset(seed=3)
    total, terminated, t = 0.0, False, 0
    while not terminated:
        np.testing.assert_array_equal(observation, expected.observations[0, 0, t].numpy().astype(np.float32))
        action = expected.actions[0, 0, t].numpy()
        observation, reward, terminated, truncated, _ = env.step(action.argmax() if len(action) > 1 else action)
        assert not truncated
        total += environment.discount**t * reward
        t += 1
    assert total == pytest.approx(expected.returns.item(), rel=1e-12)
    assert t == (environment.horizon if expected.active is None else expected.active.sum().item())


def test_one_episode_of_many_is_the_one_alone() -> None:
    alone, many = ScorepathEnv(NOISY), ScorepathVectorEnv(NOISY)
    observation, _ = alone.reset(seed=1)
    observations, _ = many.reset(seed=1)
    for _ in range(NOISY.horizon):
        np.testing.assert_array_equal(observation, observations[0])
        observation, reward, terminated, _, _ = alone.step(np.ones(1))
        observations, rewards, over, _, _ = many.step(np.ones((1, 1)))
        assert (reward, terminated) == (rewards[0], over[0])


@pytest.mark.parametrize("environment", [LQR(horizon=3, initial_std=0.0, process_noise=0.0), Race()])
def test_many_episodes_restart_as_gymnasiums_own_do(environment: Environment) -> None:
    """Gymnasium's vector of single environments is the reference; nothing is random but the actions."""
    ours = ScorepathVectorEnv(environment, 5)
    theirs = SyncVectorEnv([lambda: ScorepathEnv(environment)] * 5, autoreset_mode=AutoresetMode.NEXT_STEP)
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    np.testing.assert_array_equal(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
    generator = np.random.default_rng(0)
    endings = 0
    for _ in range(20):
        actions = generator.uniform(0, 0.8, (5, 1)).astype(np.float32)
        mine, other = ours.step(actions), theirs.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)
        endings += mine[2].sum()
    assert endings >= 15


def test_registration_takes_knobs() -> None:
    env = gymnasium.make("scorepath/pendulum-v0", horizon=7, action_limit=2.0).unwrapped
    assert env.environment == Pendulum(horizon=7)
    assert env.action_space == gymnasium.spaces.Box(-2, 2, (1,), np.float32)
    many = gymnasium.make_vec("scorepath/chain-v0", num_envs=3, states=4)
    assert isinstance(many, ScorepathVectorEnv)
    assert many.environment == Chain(states=4)
    assert many.action_space == gymnasium.spaces.MultiDiscrete([2, 2, 2])


@pytest.mark.slow
def test_ppo_of_stable_baselines_learns() -> None:
    """A gap of 8 standard errors between the returns of 200 episodes each, before and after 2000 steps."""
    from stable_baselines3 import PPO

    knobs = {"horizon": 10, "initial_mean": 2.0}
    env = gymnasium.make("scorepath/lqr-v0", **knobs)
    layers = {"net_arch": [8]}
    agent = PPO(
        "MlpPolicy", env, n_steps=256, gamma=1.0, learning_rate=3e-3, policy_kwargs=layers, seed=0, device="cpu"
    )

    def returns() -> np.ndarray:
        many = gymnasium.make_vec("scorepath/lqr-v0", num_envs=200, **knobs)
        observations, _ = many.reset(seed=7)
        total = np.zeros(200)
        for _ in range(knobs["horizon"]):
            observations, rewards, _, _, _ = many.step(agent.predict(observations, deterministic=True)[0])
            total += rewards
        return total

    before = returns()
    agent.learn(2000)
    gain = returns() - before  # of the same starts
    assert gain.mean() > 8 * gain.std() / 200**0.5


# --- Gymnasium's environments in Scorepath ----------------------------------------------------------------------------


def rollout(environment: Environment, sigma: float = 0.5, dtype: torch.dtype = torch.float64) -> Trajectories:
    """Two batches of three trajectories of a generic policy."""
    policy = make_policy(environment)
    parameters = torch.linspace(-1, 1, policy.parameter_count, dtype=torch.float64)
    return Simulator(environment, policy, parameters, sigma).rollout(
        Noise(environment, STREAM, range(2), 3, dtype).rollout
    )


def test_gymnasiums_pendulum_is_ours() -> None:
    """From the same starts with the same actions, torques beyond the limits among them: equal rewards."""
    found = rollout(Gymnasium(horizon=30), sigma=2.0)
    assert found.actions.abs().max() > 2
    ours = Pendulum(horizon=30)
    cos, sin, velocity = found.observations[:, :, 0].unbind(-1)
    state, rewards = torch.stack([torch.atan2(sin, cos), velocity], -1), []
    for t in range(30):
        torch.testing.assert_close(ours.observe(state), found.observations[:, :, t], rtol=1e-4, atol=1e-4)
        state, reward = ours.step(state, found.actions[:, :, t], torch.zeros(2, 3, 0))
        rewards.append(reward)
    torch.testing.assert_close(torch.stack(rewards, -1), found.rewards, rtol=1e-4, atol=1e-4)


def test_a_discrete_environment_is_what_gymnasium_plays() -> None:
    """CartPole: the actions taken, played again from the seeds drawn, until it falls."""
    environment = Gymnasium(id="CartPole-v1", horizon=40)
    assert environment.discrete_actions
    assert not Gymnasium.discrete_actions
    found = rollout(environment, sigma=5.0)
    seeds = environment.initial_state(Noise(environment, STREAM, range(2), 3, torch.float64).rollout.initial)[..., 0]
    env = gymnasium.make("CartPole-v1").unwrapped
    lengths = set()
    for i in np.ndindex(2, 3):
        observation, _ = env.reset(seed=int(seeds[i]))
        ended, rewards = False, []
        while not ended and len(rewards) < 40:
            t = len(rewards)
            np.testing.assert_array_equal(observation, found.observations[*i, t].float().numpy())
            observation, reward, ended, _, _ = env.step(int(found.actions[*i, t].argmax()))
            rewards.append(reward)
        assert found.rewards[i].tolist() == rewards + [0.0] * (40 - len(rewards))
        assert found.active is not None
        assert found.active[i].tolist() == [t < len(rewards) for t in range(40)]
        lengths.add(len(rewards))
    assert min(lengths) < 40


def test_stepping_is_a_function_of_state_and_action() -> None:
    """Whatever was stepped before, and whichever simulators are there: the same numbers."""
    environment = Gymnasium(horizon=4)
    start = environment.initial_state(torch.tensor([[0.3], [0.3], [-1.0]], dtype=torch.float64))
    torque = torch.tensor([[1.0], [1.0], [-1.5]], dtype=torch.float64)
    none = torch.zeros(3, 0)
    states, rewards = [start], []
    for _ in range(4):
        state, reward = environment.step(states[-1], torque, none)
        states.append(state)
        rewards.append(reward)
    assert torch.equal(states[4][0], states[4][1])
    for t in (2, 0, 3, 2, 1):  # back and forth
        for other in (environment, dataclasses.replace(environment)):  # a copy has no simulators yet
            state, reward = other.step(states[t].flip(0), torque.flip(0), none)
            assert torch.equal(state, states[t + 1].flip(0))
            assert torch.equal(reward, rewards[t].flip(0))
            alone, paid = other.step(states[t][2], torque[2], none[2])
            assert torch.equal(alone, states[t + 1][2])
            assert torch.equal(paid, rewards[t][2])
    # another action from the same state, and an end that stays
    assert not torch.equal(environment.step(states[1], torque + 0.1, none)[0], states[2])


def test_both_precisions_start_from_the_same_seeds() -> None:
    environment = Gymnasium(horizon=3)
    single, double = rollout(environment, dtype=torch.float32), rollout(environment)
    assert single.rewards.dtype == torch.float32
    assert torch.equal(single.observations[:, :, 0].double(), double.observations[:, :, 0])
    torch.testing.assert_close(single.rewards.double(), double.rewards, rtol=1e-5, atol=1e-5)


def test_simulators_are_bounded_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "SIMULATORS", 4)
    environment = Gymnasium(horizon=3)
    made = []
    make = gymnasium.make
    monkeypatch.setattr(gymnasium, "make", lambda *args, **kwargs: made.append(1) or make(*args, **kwargs))
    for start in torch.linspace(-2, 2, 40, dtype=torch.float64).reshape(10, 4, 1):
        state = environment.initial_state(start)
        environment.step(state, torch.ones(4, 1, dtype=torch.float64), torch.zeros(4, 0))  # and then abandoned
    assert len(made) <= 8


def test_a_diverged_policy_gives_no_number_and_no_crash() -> None:
    environment = Gymnasium(horizon=3)
    state = environment.initial_state(torch.zeros(2, 1))
    state, reward = environment.step(state, torch.tensor([[float("nan")], [1.0]]), torch.zeros(2, 0))
    assert reward.isnan().tolist() == [True, False]
    assert environment.active(state).tolist() == [False, True]


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"id": "Pendulum-v99"}, "Pendulum-v99"),
        ({"id": "Nothing-v0"}, "Nothing-v0"),
        ({"id": "no.such.module:Nothing-v0"}, "would import a module"),
        ({"id": "FrozenLake-v1", "kwargs": {"map_name": "none such"}}, "KeyError: 'none such'"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_errors_name_what_is_wrong(knobs: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        Gymnasium(**knobs)


class Odd(gymnasium.Env):
    """The observation says which action was taken, and so does the reward."""

    def __init__(self, **spaces: gymnasium.Space) -> None:
        self.observation_space = spaces.get("observation_space", gymnasium.spaces.Discrete(3))
        self.action_space = spaces.get("action_space", gymnasium.spaces.Discrete(2, start=5))

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[int, dict]:
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        return action - 5, float(action), False, False, {}


@pytest.fixture
def odd():
    gymnasium.register("Odd-v0", Odd)
    yield
    del gymnasium.registry["Odd-v0"]


@pytest.mark.usefixtures("odd")
def test_discrete_observations_become_one_hot_and_actions_start_where_they_do() -> None:
    environment = Gymnasium(id="Odd-v0", horizon=2)
    state = environment.initial_state(torch.zeros(2, 1))
    assert environment.observe(state).tolist() == [[1, 0, 0], [1, 0, 0]]
    state, reward = environment.step(state, torch.eye(2), torch.zeros(2, 0))
    assert environment.observe(state).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert reward.tolist() == [5, 6]


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    "spaces",
    [
        {"action_space": gymnasium.spaces.MultiDiscrete([2, 2])},
        {"observation_space": gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))},
    ],
    ids=lambda spaces: next(iter(spaces)),
)
def test_spaces_that_do_not_fit_are_refused(spaces: dict[str, gymnasium.Space]) -> None:
    with pytest.raises(ValueError, match=re.escape(str(next(iter(spaces.values()))))):
        Gymnasium(id="Odd-v0", kwargs=spaces)


def planned(environments: list[dict[str, object]]) -> Plan:
    """The default study with these environments and four estimators."""
    raw = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    estimators = ["leave_one_out", "measure_valued", "evolution_strategies", "pathwise"]
    training = raw["training"] | {"environments": [environments[0]["name"]], "estimators": ["leave_one_out"]}
    return make_plan(raw | {"environments": environments, "estimators": estimators, "training": training})


ENTRY = {"name": "gym", "family": "gymnasium", "id": "Pendulum-v1", "horizon": 5, "kwargs": {"g": 9.81}}


def test_a_study_runs_what_needs_no_derivative() -> None:
    cells = [cell for cell in planned([ENTRY]).cells if (cell.stage, cell.sigma) == ("gradients", 0.1)]
    assert {cell.estimator: (cell.status, cell.reason) for cell in cells} == {
        "leave_one_out": ("run", ""),
        "measure_valued": ("run", ""),
        "evolution_strategies": ("run", ""),
        "pathwise": ("not_applicable", "dynamics not differentiable"),
    }


def test_a_study_without_gymnasium_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigError, match=r"environments\[0\] \(gym\).*pip install --editable '\.\[gymnasium\]'"):
        planned([ENTRY])


# --- references without derivatives -----------------------------------------------------------------------------------

SMALL_CHAIN = Chain(states=3, horizon=3, discount=0.8)
DISCONTINUOUS = [(Step(edge=0.3), 0.3), (SMALL_CHAIN, 0.7)]


def reference(environment: Environment, sigma: float, samples: int = 2**15) -> monte_carlo.MonteCarloReference:
    return certified_reference(at(environment, 0.1, sigma), STREAM, samples, 64, error_budget=0.25)


@pytest.mark.parametrize(
    ("environment", "sigma", "check"),
    [(*DISCONTINUOUS[0], "score function"), (*DISCONTINUOUS[1], "measure-valued derivative")],
    ids=["step", "chain"],
)
def test_a_reference_without_derivatives_is_certified_and_right(
    environment: Environment, sigma: float, check: str
) -> None:
    """Within 5 of its standard errors (6e-7 for one parameter, less for more)."""
    found = reference(environment, sigma)
    assert found.certified_by.startswith(f"agrees with {check}")
    assert (
        found.gradients.mean(0) - exact_reference(at(environment, 0.1, sigma)).gradient
    ).norm() < 5 * found.standard_error


@pytest.mark.parametrize("wrong", ["score_function", "measure_valued"])
@pytest.mark.parametrize(("environment", "sigma"), DISCONTINUOUS, ids=["step", "chain"])
def test_a_wrong_one_is_not_certified(
    environment: Environment, sigma: float, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 % off in either is enough to refuse."""
    right = getattr(monte_carlo, wrong)
    monkeypatch.setattr(monte_carlo, wrong, lambda *arguments: 1.1 * right(*arguments))
    found = reference(environment, sigma, samples=2**17)
    assert not found.certified
    assert found.certified_by.startswith("not certified: disagrees with")


def test_measure_valued_branches_in_every_coordinate() -> None:
    """Two actions, three steps, discounting: within 5 standard errors of the exact gradient."""
    system = LQR(
        horizon=3, dynamics=((1.0, 0.3), (0.0, 0.9)), control=((0.3, 0.1), (1.0, 0.2)), initial_mean=1.0, discount=0.9
    )
    found = monte_carlo.measure_valued(at(system, 0.1, 0.5), STREAM, 64, 512)
    error = (found.mean(0) - exact_reference(at(system, 0.1, 0.5)).gradient).norm()
    assert error < 5 * (found.var(0).sum() / 64).sqrt()
    assert error < 0.05 * exact_reference(at(system, 0.1, 0.5)).gradient.norm()


def test_without_noise_nothing_certifies() -> None:
    """The estimate itself is right where the return is smooth: a LQR that says its steps cannot be differentiated."""

    class Opaque(LQR):
        differentiable: ClassVar[bool] = False

    system = Opaque(horizon=4, initial_mean=1.0, initial_std=0.3)
    found = reference(system, 0.0)
    assert not found.certified
    assert "no second estimate" in found.certified_by
    assert found.gradients.shape == (64, 1)
    # averaging over perturbations of 0.01 moves this gradient by far less than the error of the estimate
    assert (found.gradients.mean(0) - exact_reference(at(system, 0.1, 0.0)).gradient).norm() < 5 * found.standard_error
    assert found.standard_error < 0.05 * exact_reference(at(system, 0.1, 0.0)).gradient.norm()


@pytest.mark.slow
def test_gymnasiums_pendulum_has_the_gradient_of_ours() -> None:
    """Measure-valued in Gymnasium against reverse mode in torch: start distribution and dynamics are the same."""
    both = (at(environment(horizon=4), [0.5, 0.5, -0.3], 0.5, "linear") for environment in (Gymnasium, Pendulum))
    theirs = monte_carlo.measure_valued(next(both), STREAM, 64, 32)
    ours = monte_carlo.reverse_mode(next(both), STREAM, 64, 512)
    assert null_distance(theirs - ours) < monte_carlo.AGREEMENT
    assert null_distance(theirs - 1.2 * ours) > monte_carlo.AGREEMENT, "an error of 20 % would go unnoticed"


def test_the_search_for_policies_keeps_to_its_steps() -> None:
    class Slow(Pendulum):
        search_steps: ClassVar[float] = 2.5 * 32 * 64 * 3

    environment = Slow(horizon=3)
    policy = make_policy(environment, "linear")
    path = climb_simulated(environment, policy, torch.zeros(3, dtype=torch.float64), 0.1, STREAM)
    assert len(path) == 1 + 2


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_documented_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/gymnasium.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "docs/gymnasium.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("(1000, 1) -")
    assert second == "4 2 True"
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert {cell.environment for cell in planned(yaml.safe_load(block)["environments"]).cells} == {
        "gym_pendulum", "gym_cartpole", "gym_moon",
    }  # fmt: skip
