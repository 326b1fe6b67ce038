"""Storchastic: its surrogate loss for the score function, and for pathwise by reparameterisation.

It estimates one gradient of a mean cost, so it gives the mean over all trajectories and no moments per trajectory.
Trajectories are an independent plate; every step's action is a sample of a `ScoreFunction` (or `Reparameterization`)
whose sampling method returns the given noise. The return is the only cost: with one cost per step its surrogate loss
would be that of rewards-to-go. A step of the environment is one deterministic node of its graph.
"""

from __future__ import annotations

import storch
import torch
from benchmarks.common import HIDDEN, SIGMA
from benchmarks.gradients.protocol import Case, Run
from storch.method import Method, Reparameterization, ScoreFunction
from torch import Tensor
from torch.distributions import Distribution, Normal

from scorepath.stages._instances import make_environment
from scorepath.study.settings import EnvironmentEntry

WORK = "mean gradient only"


def prepare(case: Case) -> Run:
    if case.estimator == "state_value_baseline":
        raise NotImplementedError("it has no baseline fitted to earlier trajectories")
    entry = EnvironmentEntry(
        case.environment, case.environment, {"horizon": case.horizon}, {"kind": "mlp", "hidden": HIDDEN}
    )
    environment, policy = make_environment(entry)
    arrays = {name: torch.from_numpy(values) for name, values in case.arrays().items()}
    parameters = arrays["parameters"].requires_grad_()
    pathwise = case.estimator == "pathwise"

    def sampler(t: int) -> Method:
        """The estimation method of the action at step t, which takes the given noise where it would draw."""

        def given(distribution: Distribution, *_: object) -> Tensor:
            sample = distribution.mean + distribution.stddev * arrays["action_noise"][:, t]
            return (sample if pathwise else sample.detach()).unsqueeze(0)

        method = Reparameterization(f"action {t}") if pathwise else ScoreFunction(f"action {t}")
        method.sampling_method.set_mc_sample(given)
        return method

    @storch.deterministic
    def mean(state: Tensor, t: int) -> Tensor:
        return policy.mean(parameters, environment.observe(state), t)

    @storch.deterministic
    def step(state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        return environment.step(state, action, action[..., :0])

    def run() -> dict[str, Tensor]:
        state = storch.denote_independent(environment.initial_state(arrays["initial"]), 0, "trajectories")
        total = 0.0
        for t in range(case.horizon):
            action = sampler(t)(Normal(mean(state, t), SIGMA))
            state, reward = step(state, action)
            total = total + reward
        storch.add_cost(total, "return")
        storch.backward()
        gradient, parameters.grad = parameters.grad, None
        assert gradient is not None
        return {"mean_gradient": gradient}

    return run
