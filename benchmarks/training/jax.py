"""JAX: populations by `vmap` over seeds and rates of one jitted update, and a jitted analytic-policy-gradient loop.

The simulation runs through `lax.scan`, Adam is optax's, and noise is drawn inside the compiled program. A population
is trained in two ways, of which the driver keeps the faster: `scan`, one compiled program for all iterations, and
`loop`, a compiled update that Python calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from benchmarks.jax_simulation import ENVIRONMENTS, Environment, activations, fit_values, layers
from benchmarks.training.protocol import (
    EVALUATION_TRAJECTORIES,
    HIDDEN,
    SIGMA,
    Population,
    Race,
    population,
)
from benchmarks.training.race import Stopwatch
from jax import Array, lax

INITIAL_NOISE_DIM = {"pendulum": 2, "cartpole": 4}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    match request["what"]:
        case "prepare":
            return _prepare(population(request), request["way"])
        case "train":
            return _train(population(request), request["way"])
        case "gradients":
            return _compare_gradients(population(request), request["file"])
        case "swing_up":
            return _swing_up(Race(**request["race"]), request["seed"])
    raise ValueError(f"there is no request {request['what']!r}")


# --- one policy -------------------------------------------------------------------------------------------------


class Draws(NamedTuple):
    """The noise of a batch, standard normal."""

    initial: Array  # (samples, initial_noise_dim)
    action: Array  # (samples, horizon, 1)


class Batch(NamedTuple):
    """What the state-value baseline remembers of a batch."""

    observations: Array  # (samples, horizon, observation_dim)
    rewards_to_go: Array  # (samples, horizon)


@dataclass(frozen=True)
class Model:
    """An environment, a tanh network on it, and an estimator of the gradient."""

    name: str
    horizon: int
    estimator: str

    @property
    def environment(self) -> Environment:
        return ENVIRONMENTS[self.name]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.environment.observation_dim, *HIDDEN, 1)

    def initial_parameters(self, key: Array) -> Array:
        """Weights of variance 1 / inputs, a last layer ten times smaller, zero biases: (P,)."""
        parts = []
        for layer, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            scale = (0.1 if outputs == 1 else 1.0) / inputs**0.5
            parts.append(scale * jax.random.normal(jax.random.fold_in(key, layer), (inputs * outputs,), jnp.float32))
            parts.append(jnp.zeros(outputs, jnp.float32))
        return jnp.concatenate(parts)

    def act(self, parameters: Array, observations: Array) -> Array:
        return activations(layers(parameters, self.sizes), observations)[-1]

    def draws(self, key: Array, samples: int) -> Draws:
        first, second = jax.random.split(key)
        return Draws(
            jax.random.normal(first, (samples, INITIAL_NOISE_DIM[self.name]), jnp.float32),
            jax.random.normal(second, (samples, self.horizon, 1), jnp.float32),
        )

    def rollout(self, parameters: Array, draws: Draws, sigma: float) -> tuple[Array, Array]:
        """Observations (samples, horizon, observation_dim) and rewards (samples, horizon)."""
        network = layers(parameters, self.sizes)

        def advance(state: Array, noise: Array) -> tuple[Array, tuple[Array, Array]]:
            observation = self.environment.observe(state)
            action = activations(network, observation)[-1] + sigma * noise
            state, reward = self.environment.step(state, action)
            return state, (observation, reward)

        start = self.environment.initial_state(draws.initial)
        _, (observations, rewards) = lax.scan(advance, start, jnp.swapaxes(draws.action, 0, 1))
        return jnp.swapaxes(observations, 0, 1), jnp.swapaxes(rewards, 0, 1)

    def mean_return(self, parameters: Array, draws: Draws, sigma: float) -> Array:
        return self.rollout(parameters, draws, sigma)[1].sum(-1).mean()

    def nothing_past(self, samples: int) -> Batch:
        """Zeros, from which the regression learns a value of zero: training starts without a baseline."""
        shape = (samples, self.horizon)
        return Batch(jnp.zeros((*shape, self.environment.observation_dim), jnp.float32), jnp.zeros(shape, jnp.float32))

    def gradient(self, parameters: Array, draws: Draws, past: Batch, sigma: float) -> tuple[Array, Batch]:
        """The mean gradient estimate (P,) of a batch, and the batch as the next one's past."""
        if self.estimator == "pathwise":
            return jax.grad(self.mean_return)(parameters, draws, sigma), past

        # the simulation is data to a score function: only the means on its rows are differentiated, all in one pass
        observations, rewards = self.rollout(parameters, draws, sigma)
        rewards_to_go = jnp.cumsum(rewards[:, ::-1], -1)[:, ::-1]
        credit = rewards_to_go[:, :1]
        if self.estimator == "state_value_baseline":
            credit = (rewards_to_go - fit_values(*past)(observations)).astype(rewards.dtype)
        signal = credit[..., None] * draws.action / sigma

        def surrogate(parameters: Array) -> Array:
            return (signal * self.act(parameters, observations)).sum((1, 2)).mean()

        return jax.grad(surrogate)(parameters), Batch(observations, rewards_to_go)


# --- populations ------------------------------------------------------------------------------------------------


class Member(NamedTuple):
    """The state of one run."""

    parameters: Array
    optimiser: optax.OptState
    past: Batch


@dataclass(frozen=True)
class Training:
    """Compiled pieces that train a population; arrays of members lead with (rates, seeds)."""

    case: Population

    @property
    def model(self) -> Model:
        return Model(self.case.environment, self.case.horizon, self.case.estimator)

    def start(self, seed: Array, rate: Array) -> Member:
        parameters = self.model.initial_parameters(jax.random.key(seed))
        optimiser = optax.inject_hyperparams(optax.adam)(learning_rate=rate).init(parameters)
        return Member(parameters, optimiser, self.model.nothing_past(self.case.batch_size))

    def update(self, member: Member, seed: Array, iteration: Array) -> tuple[Member, Array]:
        """One iteration of one run, and the gradient's norm."""
        key = jax.random.fold_in(jax.random.key(seed), 1000 + iteration)
        draws = self.model.draws(key, self.case.batch_size)
        gradient, past = self.model.gradient(member.parameters, draws, member.past, SIGMA)
        optimiser = optax.inject_hyperparams(optax.adam)(learning_rate=0.0)  # the rate is in the state
        updates, state = optimiser.update(-gradient, member.optimiser, member.parameters)
        return Member(optax.apply_updates(member.parameters, updates), state, past), jnp.linalg.norm(gradient)

    def evaluate(self, member: Member) -> tuple[Array, Array]:
        """Mean return at sigma and at 0, on trajectories that all members and iterations share."""
        draws = self.model.draws(jax.random.key(0), EVALUATION_TRAJECTORIES)
        return tuple(self.model.mean_return(member.parameters, draws, sigma) for sigma in (SIGMA, 0.0))

    # a population shares the seeds' noise over the rates, as Scorepath's does
    def starts(self, seeds: Array, rates: Array) -> Member:
        return jax.vmap(jax.vmap(self.start, (0, None)), (None, 0))(seeds, rates)

    def updates(self, members: Member, seeds: Array, iteration: Array) -> tuple[Member, Array]:
        return jax.vmap(jax.vmap(self.update, (0, 0, None)), (0, None, None))(members, seeds, iteration)

    def evaluations(self, members: Member) -> tuple[Array, Array]:
        return jax.vmap(jax.vmap(self.evaluate))(members)

    def scan(self, seeds: Array, rates: Array) -> Any:
        """The whole training as one traced program: records every few iterations, and the last."""

        def block(members: Member, first: Array) -> tuple[Member, Any]:
            record = self.evaluations(members)
            iterations = first + jnp.arange(self.case.every)
            members, norms = lax.scan(lambda each, i: self.updates(each, seeds, i), members, iterations)
            return members, (record, norms[-1])

        firsts = jnp.arange(0, self.case.iterations, self.case.every)
        members, records = lax.scan(block, self.starts(seeds, rates), firsts)
        return records, self.evaluations(members)

    def loop(self) -> Callable[[Array, Array], Any]:
        """The same, with Python between compiled updates."""
        starts, evaluations = jax.jit(self.starts), jax.jit(self.evaluations)
        updates = jax.jit(self.updates, donate_argnums=0)

        def run(seeds: Array, rates: Array) -> Any:
            members, records, norms = starts(seeds, rates), [], None
            for iteration in range(self.case.iterations):
                if iteration % self.case.every == 0:
                    records.append((evaluations(members), norms))
                members, norms = updates(members, seeds, iteration)
            return records, evaluations(members), norms

        return run


@lru_cache(maxsize=2)  # both ways of one case
def _program(case: Population, way: str) -> Callable[[Array, Array], Any]:
    training = Training(case)
    return jax.jit(training.scan) if way == "scan" else training.loop()


def _prepare(case: Population, way: str) -> dict[str, Any]:
    """Compile, by a first run of which the time of a second one is taken off."""
    if case.iterations % case.every:
        raise ValueError(f"iterations must be a multiple of {case.every}, got {case.iterations}")
    first = _train(case, way)["seconds"]
    return {"preparation_seconds": first - _train(case, way)["seconds"]}


def _train(case: Population, way: str) -> dict[str, Any]:
    seeds, rates = jnp.arange(case.seeds), jnp.asarray(case.rates, jnp.float32)
    program = _program(case, way)
    began = time.perf_counter()
    jax.block_until_ready(program(seeds, rates))
    return {"seconds": time.perf_counter() - began, "runs": case.seeds * len(case.rates)}


def _compare_gradients(case: Population, file: str) -> dict[str, Any]:
    """The largest relative difference of any seed's gradient from the file's, given its parameters and noise."""
    model = Model(case.environment, case.horizon, case.estimator)

    def one(parameters: Array, draws: Draws, before: Draws) -> Array:
        observations, rewards = model.rollout(parameters, before, SIGMA)
        past = Batch(observations, jnp.cumsum(rewards[:, ::-1], -1)[:, ::-1])
        return model.gradient(parameters, draws, past, SIGMA)[0]

    with np.load(file) as given:
        draws = Draws(given["initial"], given["action"])
        before = Draws(given["past_initial"], given["past_action"])
        found = np.asarray(jax.jit(jax.vmap(one))(given["parameters"], draws, before), np.float64)
        expected = given["gradient"].astype(np.float64)
    differences = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return {"relative_difference": float(differences.max())}


# --- swing-up ---------------------------------------------------------------------------------------------------


def _swing_up(race: Race, seed: int) -> dict[str, Any]:
    """`jax.value_and_grad` of the mean return through the simulation, Adam; `every` iterations per compiled call."""
    if race.method != "pathwise":
        raise ValueError(f"the JAX loop is an analytic policy gradient, got {race.method!r}")
    model = Model("pendulum", race.horizon, race.method)
    optimiser = optax.adam(race.rate)
    parameters = model.initial_parameters(jax.random.key(seed))
    state = optimiser.init(parameters)

    @partial(jax.jit, donate_argnums=(0, 1))
    def advance(parameters: Array, state: optax.OptState, first: Array) -> tuple[Array, optax.OptState]:
        def update(carry: tuple[Array, optax.OptState], iteration: Array) -> tuple[tuple[Array, optax.OptState], Array]:
            parameters, state = carry
            draws = model.draws(jax.random.fold_in(jax.random.key(seed), 1000 + iteration), race.batch_size)
            value, gradient = jax.value_and_grad(model.mean_return)(parameters, draws, race.sigma)
            updates, state = optimiser.update(-gradient, state, parameters)
            return (optax.apply_updates(parameters, updates), state), value

        carry, _ = lax.scan(update, (parameters, state), first + jnp.arange(race.every))
        return carry

    act = jax.jit(model.act)
    stopwatch = Stopwatch(race)
    with stopwatch.preparing():
        advance = advance.lower(parameters, state, 0).compile()
    iteration = 0
    while stopwatch.goes_on(lambda observations: np.array(act(parameters, observations))):  # noqa: B023 -- called at once
        with stopwatch.training():
            parameters, state = jax.block_until_ready(advance(parameters, state, iteration))
            iteration += race.every
    return stopwatch.result(iteration * race.batch_size * race.horizon)
