"""One cell's training runs: every seed at every learning rate; which of them count is settled when all is gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    seeds = settings.seeds + settings.tuning_seeds
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
    rates, history = trainer.tune(settings.learning_rates, list(map(str, range(seeds))), settings.extension)
    steps = method.environment_steps(instance) * study.gradients.batch_size
    rows = [
        {
            "learning_rate": rate,
            "seed": seed,
            "iteration": iteration,
            "environment_steps": steps * iteration,
            "return_stochastic": float(history.stochastic[record, index, seed]),
            "return_deterministic": float(history.deterministic[record, index, seed]),
            "gradient_norm": float(history.gradient_norms[record, index, seed]),
        }
        for index, rate in enumerate(rates)
        for seed in range(seeds)
        for record, iteration in enumerate(history.iterations)
    ]
    write_rows(cell_path("training", environment, estimator, sigma), rows)
