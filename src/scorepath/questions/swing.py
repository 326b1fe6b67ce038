"""A differentiable world in two formulas: what the gradient of its return is made of, and which estimator to use.

The derivative of the return of a deterministic policy holds those of the reward and of the dynamics. Here it is taken
three ways: forwards, part by part; by the deterministic policy gradient theorem; and by torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from scorepath.environments.base import ReferenceClass, SequentialEnvironment
from scorepath.estimators.base import Estimator
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.pathwise import Pathwise
from scorepath.measurement import sample_batches, sample_variances
from scorepath.noise import Stream
from scorepath.questions import _rows
from scorepath.rollout import Simulator

START = 1.5
GAIN = -0.5
"""theta, of the policy mu_theta(s) = theta s."""
SIGMA = 0.1
BATCHES, SAMPLES = 64, 256
ESTIMATORS: dict[str, Estimator] = {"leave-one-out REINFORCE": LeaveOneOut(), "pathwise": Pathwise()}


def dynamics(state: Tensor, action: Tensor) -> Tensor:
    """f(s, a): a rod that falls away from 0 and is pushed back."""
    return state + 0.1 * (action + torch.sin(state))


def reward(state: Tensor, action: Tensor, following: Tensor) -> Tensor:
    """r(s, a, s')."""
    return -(following**2) - 0.1 * torch.cos(state) * action**2


@dataclass(frozen=True, kw_only=True)
class Swing(SequentialEnvironment):
    """`s' = s + 0.1 (a + sin s)`, reward `-s'^2 - 0.1 cos(s) a^2`, from a fixed start."""

    source: ClassVar[str] = "Scorepath"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"

    horizon: int = 20
    discount: float = 0.95

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_full((*noise.shape[:-1], 1), START)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = dynamics(state, action)
        return following, reward(state, action, following)[..., 0]


WORLD = Swing()


class Parts(NamedTuple):
    """The derivative of the noiseless return by theta, and what of it comes through what."""

    whole: float
    through_action: float  # sum_t gamma^t r_a da_t/dtheta with the states held fixed: r's derivative alone
    through_state: float  # the rest, which reaches theta through the derivatives of f


def noiseless(gain: Tensor) -> Tensor:
    """The return of the policy without noise, differentiable."""
    state, total = gain.new_tensor(START), gain.new_zeros(())
    for t in range(WORLD.horizon):
        action = gain * state
        following = dynamics(state, action)
        total = total + WORLD.discount**t * reward(state, action, following)
        state = following
    return total


def total_derivative(gain: float) -> Parts:
    """Forwards: `a' = mu_s s' + mu_theta`, then `r_s s' + r_a a' + r_following f'` with `f' = f_s s' + f_a a'`."""
    state, moved = torch.tensor(START, dtype=torch.float64), 0.0  # moved: ds_t/dtheta
    whole = through_action = 0.0
    for t in range(WORLD.horizon):
        weight = WORLD.discount**t
        action = gain * state
        f_s, f_a = _slopes(dynamics, state, action)
        r_s, r_a, r_following = _slopes(reward, state, action, dynamics(state, action))
        steered = gain * moved + state.item()
        following = f_s * moved + f_a * steered
        whole += weight * (r_s * moved + r_a * steered + r_following * following)
        through_action += weight * r_a * state.item()
        state, moved = dynamics(state, action), following
    return Parts(whole, through_action, whole - through_action)


def deterministic_policy_gradient(gain: float) -> float:
    """`sum_t gamma^t dmu/dtheta(s_t) dQ_t/da(s_t, a_t)`, Q_t being the value of one action and then the policy."""
    state = torch.tensor(START, dtype=torch.float64)
    total = 0.0
    for t in range(WORLD.horizon):
        action = (gain * state).requires_grad_()
        (slope,) = torch.autograd.grad(_action_value(state, action, gain, t), action)
        total += WORLD.discount**t * state.item() * slope.item()
        state = dynamics(state, action).detach()
    return total


def _action_value(state: Tensor, action: Tensor, gain: float, t: int) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for k in range(WORLD.horizon - t):
        following = dynamics(state, action)
        total = total + WORLD.discount**k * reward(state, action, following)
        state, action = following, gain * following
    return total


def _slopes(function: Any, *values: Tensor) -> list[float]:
    leaves = [value.detach().requires_grad_() for value in values]
    return [slope.item() for slope in torch.autograd.grad(function(*leaves), leaves)]


def derivative_rows() -> Iterator[dict[str, Any]]:
    """The derivative and its parts, each way."""
    gain = torch.tensor(GAIN, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(noiseless(gain), gain)[0].item()
    found, question = total_derivative(GAIN), "total-derivative"
    yield _rows.number(question, "the whole derivative by the recursion, and by torch", found.whole, expected)
    yield _rows.number(question, "of it through ∇r alone: actions move, states are held fixed", found.through_action)
    yield _rows.number(question, "of it through the states: ∇r times what ∇f hands on", found.through_state)
    by_theorem = deterministic_policy_gradient(GAIN)
    yield _rows.number(
        "deterministic-limit", "sum of ∇μ ∇Q over the steps, and the whole derivative", by_theorem, expected
    )


def use_rows(seed: int) -> Iterator[dict[str, Any]]:
    """What a user of such a world wants to know: both unbiased estimators' means and variances."""
    simulator = Simulator(WORLD, parameters=torch.tensor([GAIN], dtype=torch.float64), sigma=SIGMA)
    variances = []
    for name, estimator in ESTIMATORS.items():
        stream = Stream(seed, "questions", "use")
        found = sample_batches(estimator, simulator, stream, range(BATCHES), SAMPLES, torch.float64)
        variances.append(sample_variances(estimator, simulator, found).numpy())
        yield _rows.mean("use", f"{name}: mean", found.means[:, 0].numpy())
        yield _rows.variance("use", f"{name}: variance", variances[-1])
    yield _rows.ratio("use", "ratio of these variances", *variances)
