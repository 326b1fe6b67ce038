"""What the advisor would see of an environment: a short probe at every noise level above 0 and every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from scorepath.estimators.pathwise import Pathwise
from scorepath.measurement import steps_per_sample
from scorepath.noise import Stream
from scorepath.probes import BATCHES, best_rival, compared, contestants, probe_steps, sample, search_jump
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import probes_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def probes(plan: Plan, environment: str) -> None:
    """Probe an environment as the advisor does.

    No rows where there is no pathwise gradient, or where states are so large that nothing can be fitted to them. At
    equal samples and at equal environment steps; of seconds nothing enters, so that the rows are the same every time.
    """
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    exists = Pathwise().not_applicable(instance, 1.0) is None
    budget = study.gradients.batch_size
    most = study.gradients_of(environment).samples // 4  # a probe is cheaper than the measurement
    samples = max(2, min(budget, most // BATCHES))
    rows: list[dict[str, Any]] = []
    for sigma in study.noise_levels_of(environment) if exists else ():
        for index, parameters in enumerate(load_policies(environment).parameters if sigma > 0 else ()):
            simulator = Simulator(instance, policy, parameters, sigma)
            jump = search_jump(simulator, seed=index)
            stream = Stream(study.seed, environment, f"probes/{index}")
            try:
                sampled = replace(sample(simulator, stream, range(BATCHES), samples), budget=budget)
            except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # states beyond all numbers
                print(f"sigma = {sigma:g}, checkpoint {index}: no probe, for {error}")
                continue
            steps = {name: steps_per_sample(each, instance) for name, each in contestants(simulator).items()}
            prices = {name: each / instance.horizon for name, each in steps.items()}
            place = {
                "environment": environment, "sigma": sigma, "checkpoint": study.references.return_gaps[index],
                "jump": 0.0 if jump is None else jump.size, "jump_share": 0.0 if jump is None else jump.share,
                "declared": float(instance.continuous),
                "probe_samples": probe_steps(simulator, BATCHES, samples) / instance.horizon,
            }  # fmt: skip
            for criterion in ("equal_samples", "equal_steps"):
                own = prices if criterion == "equal_steps" else dict.fromkeys(prices, 1.0)
                rival = best_rival(sampled, own)
                found = asdict(compared(sampled, rival, (own["pathwise"], own[rival])))
                rows.append({**place, "criterion": criterion, **found})
    write_rows(probes_path(environment), rows, COLUMNS["probes"])
