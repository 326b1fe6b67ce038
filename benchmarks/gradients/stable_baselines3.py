"""Stable-Baselines3: one A2C update as REINFORCE, on the environment exported through `scorepath.gymnasium_export`.

`gae_lambda = 1`, no discount and a value coefficient of 0 leave the policy-gradient term with rewards-to-go minus the
value network's guess, here one linear layer. All N trajectories are episodes of one vectorised environment that steps
them together, which is kinder than N environments in a loop; they end together after T steps, so that one collection
is one episode each. It draws its own noise and gives one mean gradient, which it spends on a step: no moments per
trajectory, and nothing to compare with the others.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from benchmarks.common import HIDDEN, SIGMA
from benchmarks.gradients.protocol import Case, Run
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import VecEnv

import scorepath.gymnasium_export  # noqa: F401 -- registers the environments

WORK = "one update, mean gradient only"


class Episodes(VecEnv):
    """Scorepath's vectorised environment in Stable-Baselines3's terms: an episode that ends begins anew at once."""

    def __init__(self, case: Case) -> None:
        self.vector = gymnasium.make_vec(
            f"scorepath/{case.environment}-v0", num_envs=case.samples, horizon=case.horizon
        )
        super().__init__(case.samples, self.vector.single_observation_space, self.vector.single_action_space)

    def reset(self) -> np.ndarray:
        return self.vector.reset()[0]

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, over, _, _ = self.vector.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if over.all():  # without an early end, all episodes end together
            for info, last in zip(infos, observations, strict=True):
                info["terminal_observation"] = last
            observations = self.reset()
        return observations, rewards, over, infos

    def close(self) -> None:
        self.vector.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        # what Stable-Baselines3 asks is the same for all environments (their render mode)
        return [getattr(self.vector, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("the exported environments have no attributes to set")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise NotImplementedError("the exported environments have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def prepare(case: Case) -> Run:
    if case.estimator != "reinforce":
        raise NotImplementedError("its update is of REINFORCE type only")
    model = A2C(
        "MlpPolicy",
        Episodes(case),
        n_steps=case.horizon,
        gamma=1.0,
        gae_lambda=1.0,
        vf_coef=0.0,
        policy_kwargs={
            "net_arch": {"pi": list(HIDDEN), "vf": []},
            "activation_fn": torch.nn.Tanh,
            "log_std_init": float(np.log(SIGMA)),
        },
        seed=0,
        device="cpu",
    )
    _, callback = model._setup_learn(total_timesteps=case.samples * case.horizon)  # what `learn` does first

    def run() -> dict[str, Any]:
        assert model.env is not None
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=case.horizon)
        model.train()
        return {}

    return run
