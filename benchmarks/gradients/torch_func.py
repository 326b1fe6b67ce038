"""`torch.func`: `vmap(grad)` of one trajectory's loss, written naturally over the same environment's step.

`CHUNK` trajectories are differentiated and reduced at a time: enough to spread the cost of a step's many small
operations, few enough to stay clear of memory limits.
"""

from __future__ import annotations

import torch
from benchmarks.common import BATCH, HIDDEN, RIDGE, SIGMA
from benchmarks.gradients.protocol import Case, Run
from torch import Tensor
from torch.func import grad, vmap

from scorepath.stages._instances import make_environment
from scorepath.study.settings import EnvironmentEntry

WORK = "full"
CHUNK = 1024


def quadratic_features(inputs: Tensor) -> Tensor:
    """`[x, x_i x_j (i <= j)]` of inputs (..., D) in float64."""
    inputs = inputs.double()
    products = [inputs[..., i : i + 1] * inputs[..., i:] for i in range(inputs.shape[-1])]
    return torch.cat([inputs, *products], dim=-1)


def fit_values(observations: Tensor, rewards_to_go: Tensor) -> tuple[Tensor, ...]:
    """The ridge regression of `scorepath.estimators._critics` as centre, scale, weights and target centre."""
    features = quadratic_features(observations).transpose(-3, -2)
    targets = rewards_to_go.double().mT
    samples = features.shape[-2]
    centre, target_centre, spread = features.mean(-2), targets.mean(-1), features.std(-2)
    scale = torch.where(spread > 1e-9, spread, 1.0)
    design = (features - centre.unsqueeze(-2)) / scale.unsqueeze(-2)
    gram = design.mT @ design / samples + RIDGE * torch.eye(design.shape[-1], dtype=design.dtype)
    moments = design.mT @ (targets - target_centre.unsqueeze(-1)).unsqueeze(-1) / samples
    return centre, scale, torch.linalg.solve(gram, moments).squeeze(-1), target_centre


def prepare(case: Case) -> Run:
    environment, policy = make_environment(
        EnvironmentEntry(
            case.environment, case.environment, {"horizon": case.horizon}, {"kind": "mlp", "hidden": HIDDEN}
        )
    )
    arrays = {name: torch.from_numpy(values) for name, values in case.arrays().items()}
    parameters, direction = arrays["parameters"], arrays["direction"]
    pathwise, state_value = case.estimator == "pathwise", case.estimator == "state_value_baseline"

    def loss(parameters: Tensor, initial: Tensor, noise: Tensor, *values: Tensor) -> Tensor:
        """What one trajectory contributes; its gradient is the estimate. Noise is (T, 1)."""
        acting = parameters if pathwise else parameters.detach()
        state = environment.initial_state(initial)
        observations, actions, rewards = [], [], []
        for t in range(case.horizon):
            observation = environment.observe(state)
            # one row: the network wants (samples, observation_dim)
            action = policy.mean(acting, observation.unsqueeze(0), t).squeeze(0) + SIGMA * noise[t]
            state, reward = environment.step(state, action, action[:0])
            observations.append(observation)
            actions.append(action)
            rewards.append(reward)
        total = torch.stack(rewards)
        if pathwise:
            return total.sum()
        # all steps at once, which is quicker than one log-probability within each step
        rows = torch.stack(observations)
        log_probabilities = -0.5 * ((torch.stack(actions) - policy.mean(parameters, rows, 0)) / SIGMA).square().sum(-1)
        if state_value:
            centre, scale, weights, target_centre = values
            baseline = ((quadratic_features(rows) - centre) / scale * weights).sum(-1) + target_centre
            advantages = total.flip(0).cumsum(0).flip(0) - baseline
            return (advantages.to(total) * log_probabilities).sum()
        return total.sum() * log_probabilities.sum()

    # over trajectories of a batch, which share its fitted values, and over batches
    inputs = 4 if state_value else 0
    of_batch = vmap(grad(loss), in_dims=(None, 0, 0, *[None] * inputs))
    of_batches = vmap(of_batch, in_dims=(None, 0, 0, *[0] * inputs))
    step = CHUNK // BATCH

    def run() -> dict[str, Tensor]:
        means, deviations = [], []
        for start in range(0, case.batches, step):
            rows, batches = slice(start * BATCH, (start + step) * BATCH), slice(start, start + step)
            initial, noise = (arrays[name][rows].unflatten(0, (-1, BATCH)) for name in ("initial", "action_noise"))
            values: tuple[Tensor, ...] = ()
            if state_value:
                values = fit_values(arrays["past_observations"][batches], arrays["past_rewards_to_go"][batches])
            gradients = of_batches(parameters, initial, noise, *values)
            mean = gradients.mean(1)
            means.append(mean)
            deviations.append((gradients - mean.unsqueeze(1)).square().sum(-1).flatten())
        mean = torch.cat(means)
        return {"means": mean, "deviations": torch.cat(deviations), "projections": mean @ direction}

    return run
