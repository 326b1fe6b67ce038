"""Stable-Baselines3's PPO on Gymnasium's Pendulum-v1, whose numbers are those of Scorepath's pendulum.

Gymnasium's own environment is used because it is faster one step at a time than Scorepath's export. Hyperparameters are
those that RL Baselines3 Zoo tuned for Pendulum-v1 (hyperparams/ppo.yml).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.training.protocol import Race
from benchmarks.training.race import Stopwatch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

PARALLEL = 4
ZOO: dict[str, Any] = {
    "n_steps": 1024,
    "gamma": 0.9,
    "gae_lambda": 0.95,
    "n_epochs": 10,
    "learning_rate": 1e-3,
    "ent_coef": 0.0,
    "clip_range": 0.2,
    "use_sde": True,
    "sde_sample_freq": 4,
}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    if request["what"] != "swing_up":
        raise ValueError(f"there is no request {request['what']!r}")
    return _swing_up(Race(**request["race"]), request["seed"])


def _swing_up(race: Race, seed: int) -> dict[str, Any]:
    """One round of `learn` at a time: collect n_steps x 4 transitions, then ten epochs; evaluated between rounds."""
    stopwatch = Stopwatch(race)
    with stopwatch.preparing():
        agent = PPO("MlpPolicy", make_vec_env("Pendulum-v1", PARALLEL, seed=seed), seed=seed, device="cpu", **ZOO)

    def act(observations: np.ndarray) -> np.ndarray:
        return agent.predict(observations, deterministic=True)[0]

    while stopwatch.goes_on(act):
        with stopwatch.training():
            agent.learn(PARALLEL * agent.n_steps, reset_num_timesteps=False)
    return stopwatch.result(agent.num_timesteps)
