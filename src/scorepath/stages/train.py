"""One cell's training runs: the learning rate is chosen on tuning seeds, other seeds then draw the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scorepath.noise import Stream
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.store.files import write_rows
from scorepath.store.paths import cell_path
from scorepath.training import Trainer

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def train(plan: Plan, environment: str, estimator: str, sigma: float) -> None:
    """Train one cell's population."""
    study = plan.study
    plan.running_cell("training", environment, estimator, sigma)
    settings = study.training
    instance, policy = make_environment(study.environments[environment])
    method = make_estimator(study.estimators[estimator])
    trainer = Trainer(
        instance,
        policy,
        method,
        sigma,
        Stream(study.seed, environment, "training"),
        settings.optimiser.name,
        study.gradients.batch_size,
        settings.iterations,
        settings.optimiser.momentum,
    )
    tuning = trainer.run(settings.learning_rates, [f"tuning {i}" for i in range(settings.tuning_seeds)])
    last_quarter = np.array(tuning.iterations) >= 0.75 * settings.iterations
    scores = np.nan_to_num(tuning.stochastic[last_quarter], nan=-np.inf).mean(axis=(0, 2))
    best = int(np.argmax(scores))
    history = trainer.run((settings.learning_rates[best],), [str(i) for i in range(settings.seeds)])
    steps = method.environment_steps(instance) * study.gradients.batch_size
    rows = [
        {
            "learning_rate": settings.learning_rates[best],
            "at_grid_edge": best in (0, len(settings.learning_rates) - 1),
            "seed": seed,
            "iteration": iteration,
            "environment_steps": steps * iteration,
            "return_stochastic": float(history.stochastic[record, 0, seed]),
            "return_deterministic": float(history.deterministic[record, 0, seed]),
            "gradient_norm": float(history.gradient_norms[record, 0, seed]),
            "tuning_score": float(scores[best]),
        }
        for seed in range(settings.seeds)
        for record, iteration in enumerate(history.iterations)
    ]
    write_rows(cell_path("training", environment, estimator, sigma), rows)
