"""The moments of an environment's action signals, from a few hundred trajectories at every noise level above 0."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from scorepath.expansion import expansion_rate
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.signals import has_signals, signal_moments
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import signals_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

EXPANSION = "expansion_rate", "expansion_rate_low", "expansion_rate_high"
BATCHES, MOST_SAMPLES = 8, 64
"""Trajectories at a place; fewer where the study measures gradients with fewer."""


def signals(plan: Plan, environment: str) -> None:
    """Measure how rough the return is under the action noise, and how action signals grow.

    Also whether the dynamics expand. No rows where the return cannot be differentiated, or the noise is not normal.
    """
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    samples = max(2, min(MOST_SAMPLES, study.gradients_of(environment).samples // 4 // BATCHES))
    rows = []
    for sigma in study.noise_levels_of(environment) if has_signals(instance) else ():
        for index, parameters in enumerate(load_policies(environment).parameters if sigma > 0 else ()):
            stream = Stream(study.seed, environment, f"signals/{index}")
            noise = Noise(instance, stream, range(BATCHES), samples, torch.float64)
            simulator = Simulator(instance, policy, parameters, sigma)
            found = asdict(signal_moments(simulator, noise))
            found |= dict(zip(EXPANSION, expansion_rate(simulator, noise.rollout), strict=True))
            checkpoint = study.references.return_gaps[index]
            rows.append({"environment": environment, "sigma": sigma, "checkpoint": checkpoint, **found})
    write_rows(signals_path(environment), rows, COLUMNS["signals"])
