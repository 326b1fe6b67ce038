"""The policy gradient theorem term by term on a short chain, and what it says of choices and of noisy rewards.

The policy is a softmax of one logit per state and move. The gradient by the logit of "right" in a state is the sum over
steps of `gamma^t P(s_t = s) sum_a pi(a|s) Q_t(s, a) score(a)`: state distribution, policy, action value, score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import make_policy
from scorepath.environments.chain import Chain
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.intervals import mean_estimates
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.questions import _rows
from scorepath.references.tabular import (
    Tabular,
    action_probabilities,
    action_values,
    as_tabular,
    discounted_visits,
    state_values,
)
from scorepath.rollout import Simulator

CHAIN = Chain(states=4, horizon=4, discount=0.9)
ENDS = ("", "_low", "_high")
RIGHT = 1
LOGITS = (0.0, 0.5)
"""Of left and right, in every state."""
SIGMA = 1.0
"""Scale of the Gumbel noise: the policy is the softmax of the logits."""
SIMULATIONS: dict[str, ScoreFunctionEstimator] = {"reinforce": Reinforce(), "reward_to_go": RewardToGo()}
BATCHES, SAMPLES = 64, 2048
REWARD_NOISE = 1.0
SHIFT = 0.01
"""Of the logits of "right", to both sides, in a difference quotient."""


class Terms(NamedTuple):
    """The factors of every term of the theorem, and its sum over moves; all (T, S) but for `values`, (T, S, A)."""

    visited: Tensor  # gamma^t P(s_t = s)
    probability: Tensor  # of moving right
    values: Tensor  # Q_t(s, a)
    terms: Tensor  # visited * sum_a pi(a|s) Q_t(s, a) d log pi(a|s) / d logit of right


def chain_simulator(chain: Chain = CHAIN, shift: float = 0.0) -> Simulator:
    """The chain under its policy, all logits of "right" moved by `shift`."""
    policy = make_policy(chain)
    left, right = LOGITS
    return Simulator(chain, policy, torch.tensor([left, right + shift] * chain.states, dtype=torch.float64), SIGMA)


def _chain_and_choices(simulator: Simulator) -> tuple[Tabular, Tensor]:
    """The chain's tables, and pi_t(a|s): (T, S, A)."""
    chain, policy, parameters, sigma = (
        simulator.environment, simulator.policy, simulator.parameters, simulator.sigma,
    )  # fmt: skip
    return as_tabular(chain), action_probabilities(chain, policy, parameters, sigma)


def theorem_terms(simulator: Simulator) -> Terms:
    """What the theorem (Sutton et al. 2000, with a finite horizon) is made of."""
    chain, probabilities = _chain_and_choices(simulator)
    right = probabilities[..., RIGHT]
    visited, values = discounted_visits(chain, probabilities), action_values(chain, probabilities)
    scores = (torch.eye(CHAIN.action_dim, dtype=torch.float64)[RIGHT] - right[..., None]) / simulator.sigma
    return Terms(visited, right, values, visited * (probabilities * values * scores).sum(-1))


def solved_gradient(simulator: Simulator) -> Tensor:
    """The same (T, S) without the theorem: J by a linear solve, differentiated by the logits of every step alone."""
    chain, probabilities = _chain_and_choices(simulator)
    logits = (
        (simulator.sigma * probabilities.log()).detach().requires_grad_()
    )  # up to a constant, which is of no effect
    objective = chain.initial_distribution() @ state_values(chain, torch.softmax(logits / simulator.sigma, -1))[0]
    return torch.autograd.grad(objective, logits)[0][..., RIGHT]


def simulated_terms(estimator: ScoreFunctionEstimator, simulator: Simulator, seed: int) -> np.ndarray:
    """What an estimator makes of each term: the mean over every batch of `1[s_t = s] credit_t score_t`: (T, S, B)."""
    noise = Noise(simulator.environment, Stream(seed, "questions", "theorem"), range(BATCHES), SAMPLES, torch.float64)
    trajectories, signal = estimator.signal(simulator, noise)
    return torch.einsum("bnt,bnts->tsb", signal[..., RIGHT], trajectories.observations).div(SAMPLES).numpy()


def theorem_rows(seed: int) -> Iterator[dict[str, Any]]:
    """A row per state and step that can be reached, and one per state for all steps: table `student_theorem`."""
    simulator = chain_simulator()
    found, solved = theorem_terms(simulator), solved_gradient(simulator)
    simulated = {name: simulated_terms(each, simulator, seed) for name, each in SIMULATIONS.items()}
    for state in range(CHAIN.states):
        for step in range(CHAIN.horizon):
            place = step, state
            if found.visited[place] > 0:
                left, right = found.values[place].tolist()
                yield {
                    "state": state, "step": step, "visited": found.visited[place].item(),
                    "probability": found.probability[place].item(), "value_left": left, "value_right": right,
                    **_compared(found.terms[place], solved[place]),
                    **_limits({name: values[place] for name, values in simulated.items()}),
                }  # fmt: skip
        totals = {name: values[:, state].sum(0) for name, values in simulated.items()}
        yield {"state": state, **_compared(found.terms[:, state].sum(), solved[:, state].sum()), **_limits(totals)}


def _compared(term: Tensor, solved: Tensor) -> dict[str, float]:
    return {"term": term.item(), "gradient": solved.item(), "difference": (term - solved).item()}


def _limits(batches: dict[str, np.ndarray]) -> dict[str, float]:
    found = {name: mean_estimates(values) for name, values in batches.items()}
    return {f"{name}{end}": float(each[i]) for name, each in found.items() for i, end in enumerate(ENDS)}


def choice_rows(seed: int) -> Iterator[dict[str, Any]]:
    """A choice is a step function of the logits: single returns hardly ever change, their mean does."""
    returns = []
    for shift in (SHIFT, -SHIFT):
        noise = Noise(CHAIN, Stream(seed, "questions", "choices"), range(BATCHES), SAMPLES, torch.float64)
        returns.append(chain_simulator(shift=shift).rollout(noise.rollout).returns)
    quotients = (returns[0] - returns[1]) / (2 * SHIFT)
    changed = (quotients != 0).double().mean(-1).numpy()
    moved = f"when all logits of “right” move by ±{SHIFT:g}"
    yield _rows.mean("random-variable", f"share of returns that change at all {moved}", changed)
    above, below = (_objective(chain_simulator(shift=shift)) for shift in (SHIFT, -SHIFT))
    quotient = f"mean of the change over {2 * SHIFT:g}"
    yield _rows.mean("random-variable", quotient, quotients.mean(-1).numpy(), (above - below) / (2 * SHIFT))


def _objective(simulator: Simulator) -> float:
    chain, probabilities = _chain_and_choices(simulator)
    return float(chain.initial_distribution() @ state_values(chain, probabilities)[0])


def reward_noise_rows(seed: int) -> Iterator[dict[str, Any]]:
    """Noise on the rewards adds to the variance what theory says, and nothing to the mean."""
    question = "stochastic-rewards"
    noisy = replace(CHAIN, reward_noise=REWARD_NOISE)
    gradient = float(solved_gradient(chain_simulator()).sum())
    for name, estimator in SIMULATIONS.items():
        words = {"reinforce": "REINFORCE", "reward_to_go": "reward-to-go"}[name]
        stream = Stream(seed, "questions", "reward noise")
        without, found = (
            sample_batches(estimator, chain_simulator(chain), stream, range(BATCHES), SAMPLES, torch.float64)
            for chain in (CHAIN, noisy)
        )
        means = found.means.unflatten(-1, (CHAIN.states, CHAIN.action_dim))[..., RIGHT].sum(-1)
        yield _rows.mean(question, f"{words}: mean, by all logits of “right”, with noise", means.numpy(), gradient)
        yield _rows.variance(question, f"{words}: variance without noise", without.trace_variances.numpy())
        added = (found.trace_variances - without.trace_variances).numpy()
        expected = added_variance(chain_simulator(noisy), name)
        yield _rows.mean(question, f"{words}: what the noise adds to it", added, expected)


def added_variance(simulator: Simulator, method: str) -> float:
    """What reward noise of standard deviation rho adds to the trace of a sample's covariance.

    `rho^2 sum_t c_t E|score_t|^2`, with `c_t = sum_k gamma^(2k)` over all rewards (REINFORCE) or those from t on
    (reward-to-go): the noise is independent of the scores, and scores of different steps are uncorrelated.
    """
    chain, probabilities = _chain_and_choices(simulator)
    discounts = chain.discount ** torch.arange(chain.horizon, dtype=torch.float64)
    visits = discounted_visits(chain, probabilities) / discounts[:, None]
    # |onehot(a) - pi|^2 has the mean 1 - |pi|^2
    squares = (visits * (1 - probabilities.square().sum(-1))).sum(-1) / simulator.sigma**2
    weights = discounts.square().flip(0).cumsum(0).flip(0)
    credited = weights if method == "reward_to_go" else weights[0].expand(chain.horizon)
    return float(simulator.environment.reward_noise**2 * (credited * squares).sum())
