"""A pendulum whose steps and Jacobians JAX computes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import torch

import scorepath as sp

jax.config.update("jax_enable_x64", True)
ROWS = 256  # XLA compiles for every number of rows anew, so there is one


def dynamics(x):
    """Angle and speed after 0.05 s, and the reward, (3,): of angle, speed and torque, (3,)."""
    angle, speed, torque = x
    speed = speed + 0.05 * (9.81 * jnp.sin(angle) - 0.1 * speed + torque)
    angle = angle + 0.05 * speed
    return jnp.stack([angle, speed, -(angle**2) - 0.1 * speed**2 - 0.001 * torque**2])


step, jacobian = (jax.jit(jax.vmap(each)) for each in (dynamics, jax.jacfwd(dynamics)))


def by_rows(function, state, action):
    """The function of each row, ROWS at a time; the last ones are filled up."""
    rows = torch.cat([state, action], -1).double().reshape(-1, 3)
    filled = torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % ROWS)).numpy().reshape(-1, ROWS, 3)
    found = np.concatenate([function(part) for part in filled])[: len(rows)]
    return torch.from_numpy(found).to(state).reshape(*state.shape[:-1], *found.shape[1:])


@dataclass(frozen=True, kw_only=True)
class JaxPendulum(sp.Environment):
    """Angle from upright and speed; it begins near upright, where the torque has to hold it."""

    horizon: int = 20

    source = "own"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    state_dim = 2
    initial_noise_dim = 2

    def initial_state(self, noise):
        return 0.1 * noise

    def step(self, state, action, process_noise):
        found = by_rows(step, state, action)
        return found[..., :2], found[..., 2]

    def step_jacobians(self, state, action, process_noise):
        found = by_rows(jacobian, state, action)
        return sp.StepJacobians(found[..., :2, :2], found[..., :2, 2:], found[..., 2, :2], found[..., 2, 2:])
