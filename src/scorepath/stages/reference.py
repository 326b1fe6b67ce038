"""The reference gradients of an environment at one noise level: exact, or certified Monte Carlo."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from scorepath.noise import Stream
from scorepath.references.exact import exact_reference, reference_class
from scorepath.references.jumps import finding
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
    plugin = study.environments[environment].plugin
    simulators = [
        Simulator(instance, policy, parameters, sigma) for parameters in load_policies(environment).parameters
    ]
    streams = [Stream(study.seed, environment, f"reference/{index}") for index in range(len(simulators))]
    gradients, errors, certified, certified_by, estimated_by, noticeable, jumps = [], [], [], [], [], [], []
    samples = 0
    if kind == "certified_monte_carlo":
        samples = settings.samples
        estimate = partial(
            certified_reference, samples=samples, batches=judged.batches, error_budget=settings.error_budget,
            judged=judged.samples,
        )  # fmt: skip
        found = list(map(estimate, simulators, streams))
        # a jump that one policy has shown is there for all of them, and derivatives miss it
        if any(each.jump is not None and each.jump.share == 0 for each in found):
            found = [
                each if each.jump is not None else estimate(simulator, stream, jumps=True)
                for each, simulator, stream in zip(found, simulators, streams, strict=True)
            ]
        for each in found:
            gradients.append(each.gradients)
            errors.append(each.standard_error)
            certified.append(each.certified)
            certified_by.append(each.certified_by)
            estimated_by.append(each.estimated_by)
            noticeable.append(each.noticeable)
            jumps.append(each.jump)
    else:
        for simulator, stream in zip(simulators, streams, strict=True):
            exact = exact_reference(simulator)
            gradients.append(exact.gradient[None])
            errors.append(exact.error)
            finite = bool(exact.gradient.isfinite().all())
            certified.append(finite)
            how = "exact" if exact.error == 0 else f"a quadrature, its error at most some {exact.error:.1e}"
            certified_by.append(how if finite else OVERFLOWS)
            estimated_by.append(kind)
            norm = exact.gradient.norm().item()
            noticeable.append((exact.error / norm if norm > 0 else 0.0) if finite else math.inf)
            # the continuity of Scorepath's own families is tested, not searched for again in every study
            jumps.append(found_jump(simulator, stream, judged.samples) if plugin else None)
    places = [f"at sigma = {sigma:g}, checkpoint {gap:g}, " for gap in settings.return_gaps]
    findings = [
        "" if jump is None else finding(instance, jump, judged.samples, place)
        for jump, place in zip(jumps, places, strict=True)
    ]
    stored = Reference(
        torch.stack(gradients),
        np.array(errors),
        kind,
        certified,
        certified_by,
        estimated_by,
        np.array(noticeable),
        instance.continuous,
        findings,
        np.array([0.0 if jump is None else jump.share for jump in jumps]),
        samples,
    )
    save_reference(environment, sigma, stored)
