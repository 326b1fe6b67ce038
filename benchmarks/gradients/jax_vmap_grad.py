"""JAX, jitted `vmap(grad)` of one trajectory's loss: the rollout is a `lax.scan`, the reduction is in the same jit.

All N trajectories are one call up to `WHOLE` rows; beyond, `lax.map` goes over chunks of `CHUNK` trajectories. That is
how one would write it; `chunked` goes in chunks of the size that is fastest: what a chunk leaves between one operation
and the next then stays in the processor's caches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from benchmarks.common import BATCH, SIGMA
from benchmarks.gradients.protocol import Case, Run, fastest
from benchmarks.jax_simulation import ENVIRONMENTS, ValueFit, activations, fit_values, layers
from jax import Array, lax

WORK = "full"
CHUNK = 1024
WHOLE = 1024 * 200
"""Trajectories × steps whose residuals are still held at once (about a kilobyte each)."""
CHUNKS = (64, 128, 256, 512)
"""Sizes that `chunked` tries."""


def prepare(case: Case) -> Run:
    return in_chunks(case, case.samples if case.samples * case.horizon <= WHOLE else CHUNK)


def chunked(case: Case) -> Run:
    return fastest(in_chunks(case, size) for size in CHUNKS if size <= case.samples)


def in_chunks(case: Case, size: int) -> Run:
    """So many trajectories at a time."""
    environment = ENVIRONMENTS[case.environment]
    pathwise, state_value = case.estimator == "pathwise", case.estimator == "state_value_baseline"

    def loss(parameters: Array, initial: Array, noise: Array, values: ValueFit | None) -> Array:
        """What one trajectory contributes; its gradient is the estimate. Noise is (T, 1)."""
        network = layers(parameters, environment.sizes)
        acting = network if pathwise else lax.stop_gradient(network)

        def step(state: Array, eps: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            observation = environment.observe(state)
            action = activations(acting, observation)[-1] + SIGMA * eps
            state, reward = environment.step(state, action)
            return state, (observation, action, reward)

        _, (observations, actions, rewards) = lax.scan(step, environment.initial_state(initial), noise)
        if pathwise:
            return rewards.sum()
        # all steps at once: one product per layer, where a sum in the scan would carry a gradient from step to step
        log_probabilities = -0.5 * (((actions - activations(network, observations)[-1]) / SIGMA) ** 2).sum(-1)
        if values is not None:
            rewards_to_go = jnp.cumsum(rewards[::-1])[::-1]
            advantages = (rewards_to_go - values(observations)).astype(rewards.dtype)
            return (advantages * log_probabilities).sum()
        return rewards.sum() * log_probabilities.sum()

    gradient = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0, None))

    def batch_statistics(parameters: Array, initial: Array, noise: Array, past: tuple[Array, ...]) -> tuple[Array, ...]:
        """Of one batch: its mean gradient (P,) and the squared distances from it (64,)."""
        gradients = gradient(parameters, initial, noise, fit_values(*past) if state_value else None)
        mean = gradients.mean(0)
        return mean, ((gradients - mean) ** 2).sum(-1)

    @jax.jit
    def statistics(arrays: dict[str, Array]) -> dict[str, Array]:
        def of_batches(batches: tuple[Array, ...]) -> tuple[Array, ...]:
            return jax.vmap(batch_statistics, in_axes=(None, 0, 0, 0))(arrays["parameters"], *batches)

        past = (arrays["past_observations"], arrays["past_rewards_to_go"]) if state_value else ()
        batches = (arrays["initial"], arrays["action_noise"], past)
        chunks = jax.tree.map(lambda array: array.reshape(-1, size // BATCH, *array.shape[1:]), batches)
        means, deviations = lax.map(of_batches, chunks) if len(chunks[0]) > 1 else of_batches(batches)
        means = means.reshape(case.batches, -1)
        return {"means": means, "deviations": deviations.ravel(), "projections": means @ arrays["direction"]}

    given = case.arrays()
    given |= {name: given[name].reshape(-1, BATCH, *given[name].shape[1:]) for name in ("initial", "action_noise")}
    arrays = jax.device_put(given)
    return lambda: jax.block_until_ready(statistics(arrays))
