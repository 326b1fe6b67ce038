"""The estimator protocol: one choice of action signal, and what it needs, costs and promises.

An estimator is a frozen dataclass whose fields are its options; one module per estimator, the file name is its
name. Most are action-space estimators: they override `signal`, or `credit` where the signal is a credit times the
score. Those that perturb parameters override `gradients`.

| symbol | tensor | shape |
|---|---|---|
| eps, score | action noise; score of the policy at the sampled action | (batches, samples, horizon, action_dim) |
| R, G_t | return; rewards to go, discounted to time 0 | (batches, samples); (batches, samples, horizon) |
| credit | what multiplies the score | (batches, samples, horizon) |
| delta | action signal | (batches, samples, horizon, action_dim) |
| g | per-trajectory gradient | (batches, samples, P) |

Scores and action signals live on the policy's output, which is as wide as an action, or twice as wide where the policy
has a standard deviation s of its own: mu, then log s. What multiplies a score or mixes signals need not know;
`Trajectories.through_action` turns a signal on the action into one on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath import pullback
from scorepath.environments.base import Environment
from scorepath.noise import Noise, RolloutNoise
from scorepath.policies import Policy
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """Declarations first, then the one or two methods that do the work."""

    source: ClassVar[str]
    """Author and year."""
    family: ClassVar[str]
    """score_function, pathwise, measure_valued, parameter_space or mixture."""
    bias: ClassVar[str]
    """When it is unbiased for grad J_sigma and what its bias is otherwise, in one sentence."""
    needs_noise: ClassVar[bool] = True
    """It correlates returns with the action noise, so it does not exist at sigma = 0."""
    needs_differentiable_dynamics: ClassVar[bool] = False
    needs_continuous_actions: ClassVar[bool] = False
    needs_discrete_actions: ClassVar[bool] = False
    needs_gaussian_noise: ClassVar[bool] = False
    """It uses that the action noise is normal: neither discrete actions nor a moving support will do."""
    needs_fixed_std: ClassVar[bool] = False
    """Its signal is by the mean alone: the standard deviation has to be the noise level, not the policy's own."""
    needs_relaxed_actions: ClassVar[bool] = False
    """It puts convex combinations in the place of discrete actions and differentiates by them."""
    needs_past: ClassVar[bool] = False
    """It learns from earlier trajectories (a fitted baseline); charged to whoever supplies them."""
    couples_samples: ClassVar[bool] = False
    """The samples of a batch enter each other's gradients, so their spread is not the estimator's variance. (Given a
    past that all of them have learnt from, they are independent.)"""
    leaves_one_out: ClassVar[bool] = False
    """Of those that couple samples: a sample's gradient is the mean of what it is beside each other one alone, and
    beside any one it has the same expectation. Then the spread tells the variance: see `scorepath.measurement`."""
    mixes: ClassVar[tuple[str, ...]] = ()
    """Names of the estimators whose signals it mixes."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Further sets of options worth an entry of their own in the catalogue; conformance checks them too."""
    data_files: ClassVar[tuple[str, ...]] = ()
    """Of a plugin: files and folders that it reads, relative to its own folder and below it, written out so that its
    text shows them. Results depend on them as on the code, and they travel with it."""

    def unbiased(self, environment: Environment) -> bool:
        """Whether its expectation is declared to be exactly grad J_sigma in this environment, for sigma > 0.

        For an estimator that needs a past: whatever that past was.
        """
        return not (self.needs_noise and environment.moving_support)

    def expectation(
        self, environment: Environment, sigma: float, gradient_at: Callable[[float], Tensor]
    ) -> Tensor | None:
        """The exact expectation of the estimate, (P,), or None where no formula is known.

        What a declared bias is checked against. `gradient_at(sigma)` is the exact gradient of J at any noise level.
        """
        return gradient_at(sigma) if self.unbiased(environment) else None

    def environment_steps(self, environment: Environment) -> float:
        """Environment steps that one sample costs: every rollout of its own counts, earlier trajectories do not."""
        return environment.horizon

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        """Why this estimator does not exist here, or None."""
        if sigma == 0 and self.needs_noise:
            return "without action noise the policy has no score function"
        if (self.needs_continuous_actions or self.needs_gaussian_noise) and environment.discrete_actions:
            return "actions are discrete"
        if self.needs_discrete_actions and not environment.discrete_actions:
            return "actions are continuous"
        if self.needs_gaussian_noise and environment.moving_support:
            return "action noise is not normal"
        if self.needs_relaxed_actions and not environment.relaxed_actions:
            return "no relaxation of discrete actions"
        if self.needs_differentiable_dynamics and not environment.differentiable:
            return "dynamics not differentiable"
        return None

    def not_applicable_to(self, policy: Policy) -> str | None:
        """Why this estimator does not exist for this policy, or None."""
        if self.needs_fixed_std and policy.log_std:
            return "the policy has a standard deviation of its own"
        return None

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        """The name of an estimator that gives the very same numbers here, or None."""
        return None

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterable[Tensor]:
        """Per-trajectory gradients as chunks (some batches, samples, P), in the order of the batches.

        Args:
            simulator: environment, policy, parameters and noise level.
            noise: the random numbers of all batches.
            past: earlier trajectories, for estimators that declare `needs_past`; None where there are none yet.
        """
        raise NotImplementedError

    def estimate(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Tensor, Trajectories | None]:
        """The gradient estimate of each batch, (batches, P), as an optimiser step uses it; and its trajectories.

        The trajectories can serve the next estimate as its `past`; an estimator without any of its own gives None.
        """
        return torch.cat([chunk.mean(1) for chunk in self.gradients(simulator, noise, past)]), None


@dataclass(frozen=True, kw_only=True)
class ActionSignalEstimator(Estimator):
    """An estimator that is one choice of action signal, pulled back through the policy."""

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        """Trajectories and the action signal on them, (batches, samples, horizon, action_dim)."""
        raise NotImplementedError

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterable[Tensor]:
        return pullback.per_trajectory_gradients(*self.signal(simulator, noise, past))

    def estimate(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Tensor, Trajectories | None]:
        trajectories, signal = self.signal(simulator, noise, past)
        return pullback.mean_gradients(trajectories, signal), trajectories.detach()


@dataclass(frozen=True, kw_only=True)
class ScoreFunctionEstimator(ActionSignalEstimator):
    """An estimator whose action signal is `credit_t * score_t`: a subclass says what an action is credited with."""

    family: ClassVar[str] = "score_function"

    def draws(self, simulator: Simulator, noise: Noise) -> RolloutNoise:
        """The randomness of the rollout; estimators that draw noise in a way of their own override this."""
        return noise.rollout

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        """What an action is credited with, discounted to time 0, before the score multiplies it.

        Args:
            trajectories: of the rollout that is to be credited.
            noise: the random numbers that they came from, for estimators that simulate once more.
            past: earlier trajectories, for estimators that declare `needs_past`; None where there are none yet.

        Returns:
            (batches, samples, horizon), or (batches, samples, 1) where all actions share the credit.
        """
        raise NotImplementedError

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(self.draws(simulator, noise))
        return trajectories, self.credit(trajectories, noise, past)[..., None] * trajectories.score
