"""Linear dynamics, quadratic cost, Gaussian noise: the many-step problem whose exact gradient is a short recursion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import ReferenceClass, SequentialEnvironment, require_not_negative
from scorepath.policies import Network, OpenLoop

if TYPE_CHECKING:
    from scorepath.policies import Policy

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class LQR(SequentialEnvironment):
    """`s' = A s + B a + process_noise * w`, `R = -sum_t gamma^t (q |s_t|^2 + r |a_t|^2) - gamma^T q_T |s_T|^2`.

    The start is `initial_mean + initial_std * w` in every coordinate. The linear policy is `a = o @ W` with W of shape
    (state_dim, action_dim); training starts from W = 0. Scalar systems are 1 × 1 matrices.

    Attributes:
        horizon: number of decisions T.
        dynamics: A, (state_dim, state_dim), as nested sequences of rows.
        control: B, (state_dim, action_dim), likewise.
        process_noise: standard deviation of the noise on every state coordinate, per step.
        reward_noise: standard deviation of the noise on the reward per step.
        initial_mean: mean of every coordinate of the first state.
        initial_std: its standard deviation.
        state_cost: q, per step and squared unit of state.
        action_cost: r, per step and squared unit of action.
        terminal_cost: q_T, per squared unit of the last state.
    """

    source: ClassVar[str] = "Kalman 1960; the recursion is Scorepath's"
    reference_class: ClassVar[ReferenceClass] = "recursion"
    default_policy: ClassVar[str] = "linear"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"dynamics": ((1.2,),)},
        {"dynamics": ((1.0, 0.1), (0.1, 1.0)), "control": ((0.0,), (0.1,)), "process_noise": 0.05},
        {"reward_noise": 1.0},
    )

    dynamics: Matrix = ((0.9,),)
    control: Matrix = ((0.5,),)
    process_noise: float = 0.1
    initial_mean: float = 0.0
    initial_std: float = 1.0
    state_cost: float = 1.0
    action_cost: float = 0.1
    terminal_cost: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        # frozen fields must be hashable, and YAML gives lists
        object.__setattr__(self, "dynamics", _matrix("dynamics", self.dynamics))
        object.__setattr__(self, "control", _matrix("control", self.control))
        if len(self.dynamics[0]) != len(self.dynamics):
            raise ValueError(f"dynamics must be a square matrix, got {len(self.dynamics)} × {len(self.dynamics[0])}")
        if len(self.control) != len(self.dynamics):
            raise ValueError(
                f"control must have as many rows as dynamics, {len(self.dynamics)}, got {len(self.control)}"
            )
        require_not_negative(self, "initial_std", "state_cost", "action_cost", "terminal_cost")

    @property
    def state_dim(self) -> int:
        return len(self.dynamics)

    @property
    def action_dim(self) -> int:
        return len(self.control[0])

    @property
    def initial_noise_dim(self) -> int:
        return self.state_dim

    @property
    def process_noise_dim(self) -> int:
        return self.state_dim if self.process_noise > 0 else 0

    @property
    def additive_state_noise(self) -> float:
        return self.process_noise

    def initial_state(self, noise: Tensor) -> Tensor:
        return self.initial_mean + self.initial_std * noise

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state = state @ state.new_tensor(self.dynamics).mT + action @ action.new_tensor(self.control).mT
        if self.process_noise > 0:
            next_state = next_state + self.process_noise * process_noise
        return next_state, -(self.state_cost * state.square().sum(-1) + self.action_cost * action.square().sum(-1))

    def terminal_reward(self, state: Tensor) -> Tensor:
        return -self.terminal_cost * state.square().sum(-1)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        """Propagates the state's mean m and covariance C under a policy that is affine in the state.

        With `a = W^T s + c + sigma * eps` and `F = A + B W^T`: `m' = F m + B c`,
        `C' = F C F^T + sigma^2 B B^T + process_noise^2 I`, and `E |s|^2 = |m|^2 + tr C`.

        Raises:
            ValueError: for any other policy.
        """
        affine = isinstance(policy, OpenLoop) or (isinstance(policy, Network) and len(policy.sizes) == 2)
        if not affine or policy.log_std:
            raise ValueError(
                "the exact objective of lqr needs a policy affine in the state: open_loop or linear, without "
                "a standard deviation of its own"
            )
        dynamics, control = parameters.new_tensor(self.dynamics), parameters.new_tensor(self.control)
        identity = torch.eye(self.state_dim).to(parameters)
        mean = parameters.new_full((self.state_dim,), self.initial_mean)
        covariance = self.initial_std**2 * identity
        noise = sigma**2 * control @ control.mT + self.process_noise**2 * identity
        # rows: the policy's constant part, then its response to each state coordinate
        probes = torch.cat([torch.zeros_like(identity[:1]), identity])

        objective = parameters.new_zeros(())
        for t in range(self.horizon):
            actions = policy.mean(parameters, probes, t)
            constant, gain = actions[0], actions[1:] - actions[0]
            action = mean @ gain + constant
            state_square = mean.square().sum() + covariance.trace()
            action_square = action.square().sum() + (gain.mT @ covariance @ gain).trace() + sigma**2 * self.action_dim
            cost = self.state_cost * state_square + self.action_cost * action_square
            objective = objective - self.discount**t * cost
            closed_loop = dynamics + control @ gain.mT
            mean = closed_loop @ mean + control @ constant
            covariance = closed_loop @ covariance @ closed_loop.mT + noise
        terminal_square = mean.square().sum() + covariance.trace()
        return objective - self.discount**self.horizon * self.terminal_cost * terminal_square


def _matrix(knob: str, rows: Sequence[Sequence[float]]) -> Matrix:
    """Nested sequences as a tuple of equally long tuples of floats."""
    try:
        matrix = tuple(tuple(float(entry) for entry in row) for row in rows)
    except (TypeError, ValueError):
        matrix = ()
    if not matrix or not matrix[0] or len({len(row) for row in matrix}) > 1:
        raise ValueError(f"{knob} must be a matrix given as rows of equal length, such as [[0.9]], got {rows}")
    return matrix
