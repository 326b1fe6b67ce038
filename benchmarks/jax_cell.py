"""A gradient cell as one would write it as a script in JAX: read policies, simulate, reduce, write rows.

    python -m benchmarks.jax_cell ENVIRONMENT reinforce|pathwise HORIZON SAMPLES POLICIES.npz REFERENCE.npz OUT.csv

With JAX_COMPILATION_CACHE_DIR it keeps what it compiles. The widths of the policy are SCOREPATH_BENCHMARK_HIDDEN.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.common import BATCH, SIGMA
from benchmarks.jax_simulation import ENVIRONMENTS, activations, layers
from jax import Array, lax

CHUNK = 256
"""Trajectories at a time, near the fastest at these sizes."""


def main(name: str, estimator: str, horizon: int, samples: int, policies: Path, reference: Path, out: Path) -> None:
    environment = ENVIRONMENTS[name]
    width = {"pendulum": 2, "cartpole": 4}[name]

    def loss(parameters: Array, initial: Array, noise: Array) -> Array:
        network = layers(parameters, environment.sizes)
        acting = network if estimator == "pathwise" else lax.stop_gradient(network)

        def step(state: Array, eps: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            observation = environment.observe(state)
            action = activations(acting, observation)[-1] + SIGMA * eps
            state, reward = environment.step(state, action)
            return state, (observation, action, reward)

        _, (observations, actions, rewards) = lax.scan(step, environment.initial_state(initial), noise)
        if estimator == "pathwise":
            return rewards.sum()
        log_probabilities = -0.5 * (((actions - activations(network, observations)[-1]) / SIGMA) ** 2).sum()
        return rewards.sum() * log_probabilities

    gradient = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))

    @jax.jit
    def statistics(parameters: Array, direction: Array, key: Array) -> tuple[Array, ...]:
        def of_chunk(key: Array) -> tuple[Array, Array]:
            initial, noise = jax.random.split(key)
            drawn = jax.random.normal(initial, (CHUNK, width), jnp.float32)
            eps = jax.random.normal(noise, (CHUNK, horizon, 1), jnp.float32)
            gradients = gradient(parameters, drawn, eps).reshape(CHUNK // BATCH, BATCH, -1)
            means = gradients.mean(1)
            return means, ((gradients - means[:, None]) ** 2).sum((1, 2)) / (BATCH - 1)

        means, variances = lax.map(of_chunk, jax.random.split(key, samples // CHUNK))
        means = means.reshape(samples // BATCH, -1)
        norm = jnp.linalg.norm(direction)
        along = means @ direction / norm
        errors = ((means - direction) ** 2).sum(-1)
        return along, along / jnp.linalg.norm(means, axis=-1), errors, variances.ravel()

    rows = []
    with np.load(policies) as found, np.load(reference) as truth:
        parameters, gradients = found["parameters"], truth["gradients"]
    for checkpoint, each in enumerate(parameters):
        direction = gradients[checkpoint].mean(0)
        key = jax.random.key(checkpoint)
        given = (jnp.asarray(each, jnp.float32), jnp.asarray(direction, jnp.float32), key)
        rows += [(checkpoint, batch, *values) for batch, values in enumerate(np.array(statistics(*given)).T.tolist())]
    with out.open("w", newline="") as file:
        csv.writer(file).writerows([("checkpoint", "block", "projection", "cosine", "error", "variance"), *rows])


if __name__ == "__main__":
    name, estimator, horizon, samples, *paths = sys.argv[1:]
    main(name, estimator, int(horizon), int(samples), *map(Path, paths))
