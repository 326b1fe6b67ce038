"""JAX, the best formulation we could write: Scorepath's own idea, action signals and one pull-back, jitted.

A chunk of trajectories is rolled out together by one `lax.scan`. The score function needs no derivative of it; for
pathwise, reverse mode by zero leaves added to the actions gives `dR / da_t` and none of the weights' gradients. Then
the layer signals of all rows at once, one batched product per layer for the gradients, and their reduction, all in
one jit. `lax.map` goes over chunks of trajectories, of the size that is fastest here (`CHUNKS`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from benchmarks.common import BATCH, SIGMA
from benchmarks.gradients.protocol import Case, Run, fastest
from benchmarks.jax_simulation import ENVIRONMENTS, Layers, activations, fit_values, layers
from jax import Array, lax

WORK = "full"
CHUNKS = (64, 128, 256, 512, 1024)


def prepare(case: Case) -> Run:
    return fastest(in_chunks(case, size) for size in CHUNKS if size <= case.samples)


def in_chunks(case: Case, size: int) -> Run:
    """So many trajectories at a time."""
    environment = ENVIRONMENTS[case.environment]

    def rollout(leaves: Array, network: Layers, initial: Array, noise: Array) -> tuple[Array, Array]:
        """Observations (T, n, D) and rewards (T, n) from leaves and noise (T, n, 1)."""

        def step(state: Array, inputs: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            leaf, eps = inputs
            observation = environment.observe(state)
            mean = activations(network, observation)[-1]
            state, reward = environment.step(state, mean + leaf + SIGMA * eps)
            return state, (observation, reward)

        return lax.scan(step, environment.initial_state(initial), (leaves, noise))[1]

    def signals(network: Layers, initial: Array, noise: Array, past: tuple[Array, ...]) -> tuple[Array, Array]:
        """Observations (n, T, D) and the action signal (n, T, 1); noise is (T, n, 1)."""
        leaves = jnp.zeros_like(noise)
        if case.estimator == "pathwise":

            def total(leaves: Array) -> tuple[Array, Array]:
                observations, rewards = rollout(leaves, network, initial, noise)
                return rewards.sum(), observations

            signal, observations = jax.grad(total, has_aux=True)(leaves)
            return observations.swapaxes(0, 1), signal.swapaxes(0, 1)
        observations, rewards = rollout(leaves, network, initial, noise)
        observations = observations.swapaxes(0, 1)
        if case.estimator == "reinforce":
            return observations, (rewards.sum(0)[:, None] * noise / SIGMA).swapaxes(0, 1)
        rewards_to_go = jnp.cumsum(rewards[::-1], axis=0)[::-1].T
        batched = observations.reshape(-1, BATCH, *observations.shape[1:])
        fits = jax.vmap(fit_values)(*past)
        values = jax.vmap(lambda fit, rows: jax.vmap(fit)(rows))(fits, batched).reshape(rewards_to_go.shape)
        advantages = (rewards_to_go - values).astype(rewards.dtype)
        return observations, advantages[..., None] * noise.swapaxes(0, 1) / SIGMA

    def gradients(network: Layers, observations: Array, signal: Array) -> Array:
        """The pull-back of signals (n, T, 1) through the policy at observations (n, T, D): (n, P)."""
        inputs = activations(network, observations)[:-1]
        parts: list[Array] = []
        for layer, (weight, _) in reversed(list(enumerate(network))):
            products = jnp.einsum("nti,nto->nio", inputs[layer], signal)
            parts += [signal.sum(1), products.reshape(len(products), -1)]
            if layer:
                signal = (signal @ weight.T) * (1 - inputs[layer] ** 2)
        return jnp.concatenate(parts[::-1], axis=-1)

    @jax.jit
    def statistics(arrays: dict[str, Array]) -> dict[str, Array]:
        network = layers(arrays["parameters"], environment.sizes)

        def of_chunk(chunk: tuple[Array, Array, tuple[Array, ...]]) -> tuple[Array, Array]:
            initial, noise, past = chunk
            found = gradients(network, *signals(network, initial, noise.swapaxes(0, 1), past))
            found = found.reshape(-1, BATCH, found.shape[-1])
            means = found.mean(1)
            return means, ((found - means[:, None]) ** 2).sum(-1)

        def split(array: Array) -> Array:
            return array.reshape(chunks, -1, *array.shape[1:])

        past: tuple[Array, ...] = ()
        if case.estimator == "state_value_baseline":
            past = (arrays["past_observations"], arrays["past_rewards_to_go"])
        chunks = case.samples // size
        means, deviations = lax.map(of_chunk, jax.tree.map(split, (arrays["initial"], arrays["action_noise"], past)))
        means = means.reshape(case.batches, -1)
        return {"means": means, "deviations": deviations.ravel(), "projections": means @ arrays["direction"]}

    arrays = jax.device_put(case.arrays())
    return lambda: jax.block_until_ready(statistics(arrays))
