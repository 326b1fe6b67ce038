"""The environment protocol: a pure, batched step function and the facts the study needs about it.

An environment is a frozen dataclass whose fields are its physical knobs, so a sweep over a knob is data in
`config.yaml` and never a subclass. One module per family; the file name is the family's name.

Shapes. Every tensor has any number of leading (batch) dimensions `...` and, last, its own size:

| symbol | tensor | shape |
|---|---|---|
| s | state | (..., state_dim) |
| o | observation, what the policy sees | (..., observation_dim) |
| a | action; one-hot when the actions are discrete | (..., action_dim) |
| w | process noise, standard normal | (..., process_noise_dim) |
| r | reward of one step | (...,) |

A sequential environment has process noise and reward noise as knobs: it extends `SequentialEnvironment`, or
`scorepath.TabularEnvironment` if it is tables. The noise on the reward is added by the rollout, so
`step` gives the reward's mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from scorepath.environments._jacobians import StepJacobians, by_torch, with_jacobians
from scorepath.policies import LearnedStd, Network, OpenLoop, Policy

if TYPE_CHECKING:
    from scorepath.policies import Policy

ReferenceClass = Literal["closed_form", "linear_solve", "recursion", "quadrature", "certified_monte_carlo"]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One named instance's physics. Subclasses add knobs as fields and override what differs.

    The return of a trajectory is `R = sum_t discount^t r_t + discount^T terminal_reward(s_T)`.

    Raises:
        ValueError: from `__post_init__`, when a knob has no physical meaning; the message names the knob.
    """

    discount: float = 1.0

    # --- declarations, read once by `scorepath plan` -------------------------------------------------------
    source: ClassVar[str]
    """Where the dynamics come from (author and year, or "Scorepath")."""
    reference_class: ClassVar[ReferenceClass]
    """How the exact gradient is obtained; see `scorepath.references`."""
    discrete_actions: ClassVar[bool] = False
    """Discrete actions: the policy's mean function gives logits and noise is Gumbel noise of scale sigma."""
    differentiable: ClassVar[bool] = True
    """Whether `step` can be differentiated with respect to state and action: by torch, or by its `step_jacobians`."""
    continuous: ClassVar[bool] = True
    """Whether the return is a continuous function of the actions: then the pathwise gradient is unbiased."""
    terminal_reward_only: ClassVar[bool] = False
    """Whether the only reward, noise aside, is the terminal one: then rewards to go equal the return."""
    relaxed_actions: ClassVar[bool] = False
    """Discrete actions only: whether `step` also takes convex combinations of one-hot actions, differentiably."""
    moving_support: ClassVar[bool] = False
    """Whether the support of the action distribution moves with the policy's output mu: the action is then
    `(1 + mu) (1 + sigma u)` with u uniform on (-sqrt 3, sqrt 3), of mean 1 + mu and never degenerate at mu = 0. The
    score function misses what happens at the ends of the support."""
    search_steps: ClassVar[float] = math.inf
    """Environment steps that the search for reference policies may simulate, where one step is slow."""
    steps_in_float64: ClassVar[bool] = False
    """Whether `step` computes in float64 whatever it is given: single precision would save nothing."""
    default_policy: ClassVar[str] = "open_loop"
    """The policy used unless `config.yaml` says otherwise: open_loop, linear or mlp."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Further sets of knobs worth an entry of their own in the catalogue; conformance checks them too."""
    data_files: ClassVar[tuple[str, ...]] = ()
    """Of a plugin: files and folders that it reads (weights, XML, tables), relative to its own folder and below it,
    written out so that its text shows them. Results depend on them as on the code, and they travel with it."""

    def __post_init__(self) -> None:
        if not 0.0 < self.discount <= 1.0:
            raise ValueError(f"discount must lie in (0, 1], got {self.discount}")
        if vars(self).get("horizon", 1) < 1:  # where it is a knob, and no consequence of others
            raise ValueError(f"horizon must be at least 1, got {self.horizon}")

    # --- sizes: class attributes or properties --------------------------------------------------------------
    @property
    def horizon(self) -> int:
        """Number of decisions T in one trajectory."""
        return 1

    @property
    def state_dim(self) -> int:
        return 1

    @property
    def observation_dim(self) -> int:
        return self.state_dim

    @property
    def action_dim(self) -> int:
        return 1

    @property
    def initial_noise_dim(self) -> int:
        """Number of standard normals that `initial_state` consumes; 0 for a fixed start."""
        return 0

    @property
    def process_noise_dim(self) -> int:
        """Number of standard normals that each `step` consumes; 0 for deterministic dynamics."""
        return 0

    @property
    def additive_state_noise(self) -> float:
        """Standard deviation of process noise that `step` adds as it is to every state coordinate: `s' += std * w`.

        0 where there is none, or where it does anything else.
        """
        return 0.0

    @property
    def reward_noise(self) -> float:
        """Standard deviation of the Gaussian noise on every step's reward, independent of all else."""
        return 0.0

    # --- physics --------------------------------------------------------------------------------------------
    def initial_state(self, noise: Tensor) -> Tensor:
        """State at time 0, (..., state_dim), from standard normals of shape (..., initial_noise_dim).

        The result has `noise`'s leading dimensions, dtype and device, also when `initial_noise_dim` is 0.
        """
        return noise.new_zeros(*noise.shape[:-1], self.state_dim)

    def observe(self, state: Tensor) -> Tensor:
        """What the policy sees of a state: (..., observation_dim)."""
        return state

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        """Next state (..., state_dim) and reward (...,). Pure: no in-place writes, no randomness of its own."""
        raise NotImplementedError

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
        """First derivatives of `step` by state and action, for rows of any number.

        By default torch differentiates `step`. A simulator of another system overrides this, and `step` may then
        compute with whatever it likes: all that wants a derivative takes it from here.
        """
        return by_torch(self.step, state, action, process_noise)

    @property
    def brings_jacobians(self) -> bool:
        """Whether the derivatives of `step` are its own `step_jacobians` and not torch's."""
        return type(self).step_jacobians is not Environment.step_jacobians

    def differentiable_step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        """`step` in torch's graph, wherever its derivatives come from. Not to be overridden."""
        step = with_jacobians(self.step, self.step_jacobians) if self.brings_jacobians else self.step
        return step(state, action, process_noise)

    def terminal_reward(self, state: Tensor) -> Tensor:
        """Reward (...,) for the state after the last step, discounted by `discount ** horizon`."""
        return torch.zeros_like(state[..., 0])

    def active(self, state: Tensor) -> Tensor | None:
        """Whether the episode still goes on in this state, (...,) of bool; None where episodes never end early.

        After its end every reward must be 0 and the state must stay in the end; action signals are then 0 as well.
        """
        return None

    # --- what some estimators can use ---------------------------------------------------------------------------
    def smoothed(self, width: float) -> Environment | None:
        """The same environment with its jumps and kinks spread over `width`; None where there is no such version."""
        return None

    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor | None:
        """Where the return jumps in each action, all other actions and noises held fixed; None if that is not known.

        Args:
            actions: as taken by an open-loop policy, (..., horizon, action_dim).
            process: the process noise of every step, standard normal, (..., horizon, process_noise_dim).

        Returns:
            (..., horizon, action_dim, K): up to K values of that action; nan where there are fewer.
        """
        return None

    # --- exact objective --------------------------------------------------------------------------------------
    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        """The exact objective J_sigma(parameters), a scalar that torch can differentiate, in float64.

        Only for the reference classes closed_form and recursion. `parameters` is the flat float64 vector of
        `policy`. With sigma = 0 it is the return of the noiseless policy.
        """
        raise NotImplementedError(f"{type(self).__name__} declares no exact objective")

    # --- theory to draw over measurements, at the initial policy (docs/configuration.md, sweeps) ---------------------
    def exact_second_moments(self, sigma: float, averaged: frozenset[str]) -> Mapping[str, float] | None:
        """`E|g|^2` of one sample's gradient by method, averaged over all values of these knobs; None if not known."""
        return None

    def crossing_noise(self, rival: str, averaged: frozenset[str]) -> tuple[float, ...] | None:
        """The noise levels at which pathwise and this method have equal variances, averaged over these knobs.

        Predicted by a formula, free of any quadrature; () where they never are equal, None where nothing is predicted.
        """
        return None

    def flat_probability(self, sigma: float) -> float | None:
        """The probability that a sample's pathwise gradient is exactly zero; None if not known."""
        return None

    def first_output(self, policy: Policy, parameters: Tensor) -> Tensor:
        """The policy's output at a fixed start, (output_dim,): all that a one-decision objective depends on."""
        state = self.initial_state(parameters.new_zeros(1, self.initial_noise_dim))
        return policy.output(parameters, self.observe(state), 0)[0]

    def first_mean(self, policy: Policy, parameters: Tensor) -> Tensor:
        """The same of a policy whose standard deviation is the noise level: its mean action, (action_dim,).

        Raises:
            ValueError: for a policy with a standard deviation of its own.
        """
        self._require_mean_only(policy)
        return self.first_output(policy, parameters)

    def _require_mean_only(self, policy: Policy) -> None:
        if policy.log_std:
            raise ValueError(
                f"the exact objective of {type(self).__name__} is that of the noise level alone, but the policy has a "
                "standard deviation of its own"
            )

    def open_loop_means(self, policy: Policy, parameters: Tensor) -> Tensor:
        """The mean actions of a policy without feedback, (horizon, action_dim), from a fixed start.

        Raises:
            ValueError: for a policy that looks at the state over more than one step, or with a standard deviation of
                its own.
        """
        self._require_mean_only(policy)
        if self.horizon > 1 and not isinstance(policy, OpenLoop):
            raise ValueError(f"the exact objective of {type(self).__name__} needs an open_loop policy")
        observation = self.observe(self.initial_state(parameters.new_zeros(1, self.initial_noise_dim)))
        return torch.cat([policy.mean(parameters, observation, t) for t in range(self.horizon)])

    def ridge_direction(self) -> Tensor | None:
        """One decision only: the unit vector along which alone the return varies with the action, (action_dim,).

        Float64; None where the return varies in more than one direction. It is what quadrature needs.
        """
        return torch.ones(1, dtype=torch.float64) if self.action_dim == 1 else None


@dataclass(frozen=True, kw_only=True)
class SequentialEnvironment(Environment):
    """Several decisions, each with noise on the state and on the reward.

    Attributes:
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on the state per step; the family says in which coordinates.
        reward_noise: standard deviation of the noise on the reward per step.
    """

    horizon: int = 20
    process_noise: float = 0.0
    reward_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "process_noise", "reward_noise")


def require_not_negative(environment: Environment, *knobs: str) -> None:
    """Raises ValueError naming the first of these knobs that is negative or not a number."""
    for knob in knobs:
        if not getattr(environment, knob) >= 0:
            raise ValueError(f"{knob} must not be negative, got {getattr(environment, knob)}")


def require_positive(environment: Environment, *knobs: str) -> None:
    """Raises ValueError naming the first of these knobs that is not positive."""
    for knob in knobs:
        if not getattr(environment, knob) > 0:
            raise ValueError(f"{knob} must be positive, got {getattr(environment, knob)}")


def require_number(name: str, value: object) -> None:
    """Raises TypeError with the name of a value that is no number."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


def require_whole(name: str, value: object, least: int) -> None:
    """Raises TypeError where a value is no whole number, ValueError where it is too small, with its name."""
    if not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if int(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def require_instance(name: str, value: object, kind: type[Any]) -> None:
    """Raises TypeError where a value is of another kind, with its name and what was meant perhaps."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        of_class = isinstance(value, type) and issubclass(value, kind)
        hint = f"the class itself; write {getattr(value, '__name__', '')}(...)" if of_class else repr(value)
        raise TypeError(f"{name} must be {article} {kind.__name__}, got {hint}")


StandardDeviation = Literal["fixed", "learned", "state_dependent"]
"""Of a policy, in units of the noise level: 1, a parameter per action coordinate, or an output of the network."""


def make_policy(
    environment: Environment,
    kind: str | None = None,
    hidden: tuple[int, ...] = (32, 32),
    activation: str = "tanh",
    standard_deviation: StandardDeviation = "fixed",
) -> Policy:
    """The policy of this kind (`open_loop`, `linear` or `mlp`; by default the environment's own) that fits.

    Raises:
        ValueError: for an unknown kind or activation, or a standard deviation that the kind or environment cannot have.
    """
    kind = kind or environment.default_policy
    require_own_std(environment, standard_deviation)
    log_std = standard_deviation == "state_dependent"
    outputs = environment.action_dim * (2 if log_std else 1)
    policy: Policy
    match kind:
        case "open_loop":
            if log_std:
                raise ValueError("standard_deviation is state_dependent, but an open_loop policy sees no state")
            policy = OpenLoop(environment.horizon, environment.action_dim)
        case "linear":
            policy = Network((environment.observation_dim, outputs), bias=False, log_std=log_std)
        case "mlp":
            policy = Network((environment.observation_dim, *hidden, outputs), True, activation, log_std)
        case _:
            raise ValueError(f"policy kind {kind!r} is unknown; choose open_loop, linear or mlp")
    return LearnedStd(policy) if standard_deviation == "learned" else policy


def require_own_std(environment: Environment, standard_deviation: StandardDeviation) -> None:
    """Raises ValueError where action noise has no standard deviation that a policy could choose."""
    if standard_deviation != "fixed" and (environment.discrete_actions or environment.moving_support):
        kind = "actions are discrete" if environment.discrete_actions else "action noise is not normal"
        raise ValueError(f"standard_deviation is {standard_deviation}, but here {kind}: it must be fixed")
