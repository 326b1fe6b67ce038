"""What mixtures of a pathwise and a score-function signal share: weights, and the rollouts that weights come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scorepath.adjoint import Derivatives, backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.estimators.leave_one_out import leave_one_out_credit
from scorepath.noise import Noise, RolloutNoise
from scorepath.pullback import step_trace_variances
from scorepath.rollout import Simulator, Trajectories
from scorepath.steps import Steps

WEIGHT_SOURCES = ("same_batch", "independent_batch")


def require_weight_source(weights: str) -> None:
    """Raises ValueError unless it is one of WEIGHT_SOURCES."""
    if weights not in WEIGHT_SOURCES:
        raise ValueError(f"weights must be same_batch or independent_batch, got {weights!r}")


def inverse_variance_weight(pathwise_variance: Tensor, score_variance: Tensor) -> Tensor:
    """The weight `V_score / (V_score + V_pathwise)` of the pathwise parent; 1/2 if neither parent has any spread."""
    total = score_variance + pathwise_variance
    return torch.where(total > 0, score_variance / total, torch.full_like(total, 0.5))


@dataclass(frozen=True, kw_only=True)
class Mixture(ActionSignalEstimator):
    """`delta_t = k_t * pathwise_t + (1 - k_t) * leave_one_out_t`, both parents from the same rollouts.

    A subclass chooses k with `weigh`, or overrides `mix` where mixing is more than that. With `weights` from an
    `independent_batch` of the same size, k is independent of what it multiplies and the mixture is unbiased wherever
    both parents are; with those of the `same_batch` nothing is paid for k.
    """

    weights: str = "same_batch"

    family: ClassVar[str] = "mixture"
    bias: ClassVar[str] = (
        "same batch: O(1 / batch size), for the weight depends on what it multiplies; independent batch: unbiased "
        "where pathwise is"
    )
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True
    couples_samples: ClassVar[bool] = True
    mixes: ClassVar[tuple[str, ...]] = ("leave_one_out", "pathwise")

    def __post_init__(self) -> None:
        require_weight_source(self.weights)

    def unbiased(self, environment: Environment) -> bool:
        return self.weights == "independent_batch" and environment.continuous and super().unbiased(environment)

    def environment_steps(self, environment: Environment) -> float:
        return environment.horizon * (1 if self.weights == "same_batch" else 2)

    def weigh(self, trajectories: Trajectories, pathwise: Tensor, score: Tensor) -> Tensor:
        """Weights of the pathwise parent from both signals, (batches, 1) for all steps or (batches, horizon)."""
        raise NotImplementedError

    def mix(
        self, simulator: Simulator, draws: RolloutNoise, weights: Tensor | None = None
    ) -> tuple[Trajectories, Tensor, Tensor]:
        """Trajectories, the mixed signal on them, and its weights: those given or else this rollout's own."""
        trajectories, pathwise = backpropagate(simulator, draws)
        score = leave_one_out_credit(trajectories)[..., None] * trajectories.score
        if weights is None:
            weights = self.weigh(trajectories, pathwise, score)
        k = weights.to(pathwise)[:, None, :, None]
        return trajectories, k * pathwise + (1 - k) * score, weights

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        weights = None
        if self.weights == "independent_batch":
            *_, weights = self.mix(simulator, noise.independent("weights").rollout)
        trajectories, signal, _ = self.mix(simulator, noise.rollout, weights)
        return trajectories, signal


def total_propagation(
    parts: Iterable[Derivatives],
    at: Literal["action", "state"],
    score: Tensor,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Backpropagation through time that goes on, at every step, with an inverse-variance mixture of two derivatives.

    Args:
        parts: the derivatives along a rollout.
        at: which derivative is mixed: `delta_t` (action) or `lambda_{t+1}` (state), see `scorepath.adjoint`.
        score: estimates of that derivative of another kind, (batches, samples, horizon, action_dim or state_dim).
        weights: k, (batches, horizon). By default `V_score / (V_score + V_derivative)`, the trace variances over
            the batch of what either one contributes to the gradient through step t's action.

    Returns:
        The action signal, (batches, samples, horizon, action_dim), and the weights.
    """
    signals, used = [], []
    for part in parts:
        given = None if weights is None else weights[part.batches]
        signal, k = sweep(part, at, score[part.batches], given)
        signals.append(signal)
        used.append(k)
    return torch.cat(signals), torch.cat(used)


def sweep(
    steps: Derivatives, at: Literal["action", "state"], score: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The recursion of `scorepath.adjoint` with `k_t * derivative + (1 - k_t) * score_t` for one derivative.

    The mixture takes the place of `delta_t`, or of `lambda_{t+1}` in both lines. Arguments and results are those of
    `total_propagation`, for the batches of these steps.
    """
    signal, used = _sweep(steps, steps.trajectories, at, score, weights)
    if signal.isfinite().all():
        return signal, used
    return _sweep(steps.graphs(), steps.trajectories, at, score, weights)


def _sweep(
    steps: Steps, trajectories: Trajectories, at: Literal["action", "state"], score: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    horizon = score.shape[2]
    rivals = score.permute(2, 3, 0, 1)
    rival_variances = None
    if weights is None:
        own = [rivals[t] if at == "action" else steps.reach(t, rivals[t]) for t in range(horizon)]
        rival_variances = step_trace_variances(trajectories, torch.stack(own).permute(2, 3, 0, 1)).unbind(-1)

    def mixed(t: int, derivative: Tensor) -> Tensor:
        """Both are (coordinates, batches, samples); notes the weight used."""
        if rival_variances is not None:
            contribution = derivative if at == "action" else steps.reach(t, derivative)
            signal = contribution.movedim(0, -1).unsqueeze(2)
            variance = step_trace_variances(trajectories, signal, t).squeeze(-1)
            used.append(inverse_variance_weight(variance, rival_variances[t]))
        elif weights is not None:
            used.append(weights[:, t])
        k = used[-1].to(derivative)[:, None]
        return k * derivative + (1 - k) * rivals[t]

    adjoint = steps.end
    signals: list[Tensor] = []
    used: list[Tensor] = []
    for t in reversed(range(horizon)):
        if at == "state":
            derivative = torch.zeros_like(rivals[t]) if adjoint is None else adjoint
            signal, adjoint = steps.back(t, mixed(t, derivative))
        else:
            signal, adjoint = steps.back(t, adjoint, partial(mixed, t))
        signals.append(signal.movedim(0, -1))
    return torch.stack(signals[::-1], dim=-2), torch.stack(used[::-1], dim=-1)
