"""Scorepath: `scorepath.training.Trainer` for populations, the same loop with a clock for the swing-up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from benchmarks.training.protocol import HIDDEN, SIGMA, Population, Race, population
from benchmarks.training.race import Stopwatch

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise, Stream
from scorepath.policies import Policy
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.study.settings import EnvironmentEntry, EstimatorEntry
from scorepath.training import Trainer


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    match request["what"]:
        case "prepare":
            return _prepare(population(request))
        case "train":
            return _train(population(request), request["way"], request["round"])
        case "gradients":
            return _write_gradients(population(request), request["file"])
        case "swing_up":
            return _swing_up(Race(**request["race"]), request["seed"])
    raise ValueError(f"there is no request {request['what']!r}")


def _environment(name: str, horizon: int) -> tuple[Environment, Policy]:
    return make_environment(EnvironmentEntry(name, name, {"horizon": horizon}, {"kind": "mlp", "hidden": HIDDEN}))


def _estimator(method: str, **options: Any) -> Estimator:
    return make_estimator(EstimatorEntry(method, method, options))


# --- populations ------------------------------------------------------------------------------------------------


def _trainer(case: Population) -> Trainer:
    environment, policy = _environment(case.environment, case.horizon)
    return Trainer(
        environment,
        policy,
        _estimator(case.estimator),
        SIGMA,
        Stream(0, case.environment, "training benchmark"),
        "adam",
        case.batch_size,
        case.iterations,
    )


def _prepare(case: Population) -> dict[str, Any]:
    """Two iterations of the whole population: what torch imports and caches at its first steps."""
    began = time.perf_counter()
    _trainer(replace(case, iterations=2)).run(case.rates, _seeds(case))
    return {"preparation_seconds": time.perf_counter() - began}


def _seeds(case: Population) -> list[str]:
    return [str(seed) for seed in range(case.seeds)]


def _train(case: Population, way: str, turn: int) -> dict[str, Any]:
    """All runs as one population, or a sample of them one after another: each rate once, with this round's seed."""
    trainer, seeds = _trainer(case), _seeds(case)
    if way == "population":
        runs = [(case.rates, seeds)]
    else:
        runs = [((rate,), [seeds[turn % case.seeds]]) for rate in case.rates]
    began = time.perf_counter()
    for rates, members in runs:
        trainer.run(rates, members)
    seconds = time.perf_counter() - began
    made = sum(len(rates) * len(members) for rates, members in runs)
    return {"seconds": seconds * case.seeds * len(case.rates) / made, "runs": made}


def _write_gradients(case: Population, file: str) -> dict[str, Any]:
    """Gradients of every seed's first policy, with the noise behind them, for others to reproduce.

    | name | shape |
    |---|---|
    | `parameters`, `gradient` | (seeds, P) |
    | `initial`, `past_initial` | (seeds, batch_size, initial_noise_dim) |
    | `action`, `past_action` | (seeds, batch_size, horizon, 1) |
    """
    trainer, seeds = _trainer(case), _seeds(case)
    policy, stream = trainer.policy, trainer.stream
    parameters = torch.stack([policy.initial_parameters(stream.generator(s, "initial parameters")) for s in seeds])
    simulator = Simulator(trainer.environment, policy, parameters.float(), SIGMA)
    past, present = (
        Noise(trainer.environment, stream, [f"{seed}/{iteration}" for seed in seeds], case.batch_size)
        for iteration in range(2)
    )
    trajectories = simulator.rollout(past.rollout)
    gradient, _ = trainer.estimator.estimate(simulator, present, trajectories)
    np.savez(
        file,
        parameters=simulator.parameters.numpy(),
        gradient=gradient.numpy(),
        initial=present.rollout.initial.numpy(),
        action=present.rollout.action.numpy(),
        past_initial=past.rollout.initial.numpy(),
        past_action=past.rollout.action.numpy(),
    )
    return {}


# --- swing-up ---------------------------------------------------------------------------------------------------


def _swing_up(race: Race, seed: int) -> dict[str, Any]:
    """Adam on the race's estimator; every iteration draws its noise anew, in the time that counts."""
    environment, policy = _environment("pendulum", race.horizon)
    estimator = _estimator(race.method)
    stream = Stream(seed, "pendulum", "swing-up benchmark")
    parameters = policy.initial_parameters(stream.generator(seed, "initial parameters")).float()
    optimiser = torch.optim.Adam([parameters], lr=race.rate)
    stopwatch = Stopwatch(race)
    with stopwatch.preparing():  # the first step imports modules
        torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()

    def act(observations: np.ndarray) -> np.ndarray:
        return policy.mean(parameters, torch.from_numpy(observations), 0).numpy()

    iteration, past = 0, None
    while stopwatch.goes_on(act):
        with stopwatch.training():
            for _ in range(race.every):
                simulator = Simulator(environment, policy, parameters[None], race.sigma)
                noise = Noise(environment, stream, [iteration], race.batch_size)
                gradient, trajectories = estimator.estimate(simulator, noise, past)
                past = trajectories if estimator.needs_past else None
                parameters.grad = -gradient[0]  # optimisers descend
                optimiser.step()
                iteration += 1
    return stopwatch.result(iteration * race.batch_size * race.horizon)
