"""Scorepath's pendulum, cart-pole, policy network and fitted state values in JAX, for every contestant that uses it.

Arrays have any leading dimensions and are float32; the fit of values is float64, as in `scorepath.estimators._critics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from benchmarks.common import HIDDEN, RIDGE
from jax import Array
from jax.scipy.linalg import cho_solve

jax.config.update("jax_enable_x64", True)  # for the fit; everything else is float32 because its inputs are


class Environment(NamedTuple):
    """Pure functions of batched arrays; see `scorepath.environments`."""

    observation_dim: int
    initial_state: Callable[[Array], Array]
    observe: Callable[[Array], Array]
    step: Callable[[Array, Array], tuple[Array, Array]]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the policy network, from the observation to the action."""
        return (self.observation_dim, *HIDDEN, 1)


def _pendulum_start(noise: Array) -> Array:
    return jnp.array([math.pi, 1.0], noise.dtype) * jax.scipy.special.erf(noise / math.sqrt(2))


def _pendulum_observe(state: Array) -> Array:
    angle, velocity = state[..., 0], state[..., 1]
    return jnp.stack([jnp.cos(angle), jnp.sin(angle), velocity], axis=-1)


def _pendulum_step(state: Array, action: Array) -> tuple[Array, Array]:
    angle, velocity = state[..., 0], state[..., 1]
    torque = jnp.clip(action[..., 0], -2.0, 2.0)
    wrapped = jnp.remainder(angle + math.pi, 2 * math.pi) - math.pi
    cost = wrapped**2 + 0.1 * velocity**2 + 0.001 * torque**2
    velocity = jnp.clip(velocity + (15.0 * jnp.sin(angle) + 3.0 * torque) * 0.05, -8.0, 8.0)
    return jnp.stack([angle + velocity * 0.05, velocity], axis=-1), -cost


def _cartpole_start(noise: Array) -> Array:
    return jnp.array([0.0, 0.0, math.pi, 0.0], noise.dtype) + 0.05 * noise


def _cartpole_observe(state: Array) -> Array:
    x, speed, angle, spin = (state[..., index] for index in range(4))
    return jnp.stack([x, speed, jnp.cos(angle), jnp.sin(angle), spin], axis=-1)


def _cartpole_step(state: Array, action: Array) -> tuple[Array, Array]:
    x, speed, angle, spin = (state[..., index] for index in range(4))
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    push = (10.0 * action[..., 0] + 0.05 * spin**2 * sin) / 1.1
    spin_rate = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    acceleration = push - 0.05 * spin_rate * cos / 1.1
    speed = speed + 0.05 * acceleration
    spin = spin + 0.05 * spin_rate
    x = x + 0.05 * speed
    angle = angle + 0.05 * spin
    reward = jnp.cos(angle) - 0.05 * x**2 - 0.001 * (speed**2 + spin**2) - 0.01 * action[..., 0] ** 2
    return jnp.stack([x, speed, angle, spin], axis=-1), reward


ENVIRONMENTS = {
    "pendulum": Environment(3, _pendulum_start, _pendulum_observe, _pendulum_step),
    "cartpole": Environment(5, _cartpole_start, _cartpole_observe, _cartpole_step),
}


Layers = list[tuple[Array, Array]]
"""Weight (inputs, outputs) and bias (outputs,) of each layer."""


def layers(parameters: Array, sizes: tuple[int, ...]) -> Layers:
    """The layers of the flat vector, as in `scorepath.policies`.

    Unpack them once, outside a scan: the derivative by a slice of the vector is a padded vector, at every step.
    """
    found, start = [], 0
    for inputs, outputs in pairwise(sizes):
        end = start + inputs * outputs
        found.append((parameters[start:end].reshape(inputs, outputs), parameters[end : end + outputs]))
        start = end + outputs
    return found


def activations(network: Layers, observations: Array) -> list[Array]:
    """The input of every layer and, last, the network's output."""
    values = [observations]
    for weight, bias in network:
        inputs = values[-1] if len(values) == 1 else jnp.tanh(values[-1])
        values[-1:] = [inputs, inputs @ weight + bias]
    return values


class ValueFit(NamedTuple):
    """A ridge regression on quadratic features, one per step (leading dimensions: batches, steps)."""

    centre: Array
    weights: Array
    target_centre: Array

    def __call__(self, observations: Array) -> Array:
        """V_t(o_t) of observations (..., steps, D) in float64: (..., steps)."""
        return ((quadratic_features(observations) - self.centre) * self.weights).sum(-1) + self.target_centre


def quadratic_features(inputs: Array) -> Array:
    """`[x, x_i x_j (i <= j)]` of inputs (..., D) in float64."""
    inputs = inputs.astype(jnp.float64)
    rows, columns = jnp.triu_indices(inputs.shape[-1])
    return jnp.concatenate([inputs, inputs[..., rows] * inputs[..., columns]], axis=-1)


def fit_values(observations: Array, rewards_to_go: Array) -> ValueFit:
    """Fits of past observations (..., past samples, steps, D) and rewards-to-go (..., past samples, steps)."""
    features = jnp.swapaxes(quadratic_features(observations), -3, -2)  # (..., steps, past samples, features)
    targets = jnp.swapaxes(rewards_to_go.astype(jnp.float64), -2, -1)
    samples = features.shape[-2]
    centre, target_centre = features.mean(-2), targets.mean(-1)
    design = features - centre[..., None, :]
    transposed = jnp.swapaxes(design, -2, -1)
    gram = transposed @ design / samples
    moments = transposed @ (targets - target_centre[..., None])[..., None] / samples
    # a penalty on the coefficients of standardised features
    variances = jnp.diagonal(gram, axis1=-2, axis2=-1) * samples / (samples - 1)
    gram += RIDGE * jnp.where(variances > 1e-18, variances, 1.0)[..., None] * jnp.eye(design.shape[-1])
    weights = cho_solve((jnp.linalg.cholesky(gram), True), moments)[..., 0]
    return ValueFit(centre, weights, target_centre)
