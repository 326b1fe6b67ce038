"""The reference gradients of an environment at one noise level: exact, or certified Monte Carlo."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from scorepath.noise import Stream
from scorepath.references.exact import exact_reference, reference_class
from scorepath.references.jumps import described, refutation
from scorepath.references.monte_carlo import OVERFLOWS, certified_reference, found_jump
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import Reference, load_policies, save_reference

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def reference(plan: Plan, environment: str, sigma: float) -> None:
    """Compute the reference gradients of an environment at one noise level.

    At every checkpoint.
    """
    study = plan.study
    settings, judged = study.references_of(environment), study.gradients_of(environment)
    instance, policy = make_environment(study.environments[environment])
    kind = reference_class(instance, policy)
    gradients, errors, certified, certified_by, noticeable, jumps = [], [], [], [], [], []
    samples = 0
    for index, parameters in enumerate(load_policies(environment).parameters):
        simulator = Simulator(instance, policy, parameters, sigma)
        stream = Stream(study.seed, environment, f"reference/{index}")
        if kind == "certified_monte_carlo":
            samples = settings.samples
            found = certified_reference(
                simulator, stream, samples, judged.batches, settings.error_budget, judged.samples
            )
            gradients.append(found.gradients)
            errors.append(found.standard_error)
            certified.append(found.certified)
            certified_by.append(found.certified_by)
            noticeable.append(found.noticeable)
            jumps.append(found.jump)
        else:
            exact = exact_reference(simulator)
            gradients.append(exact.gradient[None])
            errors.append(exact.error)
            finite = bool(exact.gradient.isfinite().all())
            certified.append(finite)
            how = "exact" if exact.error == 0 else f"a quadrature, its error at most some {exact.error:.1e}"
            certified_by.append(how if finite else OVERFLOWS)
            norm = exact.gradient.norm().item()
            noticeable.append((exact.error / norm if norm > 0 else 0.0) if finite else math.inf)
            # the continuity of Scorepath's own families is tested, not searched for again in every study
            plugin = study.environments[environment].plugin
            jumps.append(found_jump(simulator, stream, judged.samples) if plugin else None)
    places = [f"at sigma = {sigma:g}, checkpoint {gap:g}, " for gap in settings.return_gaps]
    findings = [
        "" if jump is None
        else refutation(instance, jump) if jump.share == 0
        else place + described(instance, jump, judged.samples)
        for jump, place in zip(jumps, places, strict=True)
    ]  # fmt: skip
    stored = Reference(
        torch.stack(gradients),
        np.array(errors),
        kind,
        certified,
        certified_by,
        np.array(noticeable),
        findings,
        np.array([0.0 if jump is None else jump.share for jump in jumps]),
        samples,
    )
    save_reference(environment, sigma, stored)
