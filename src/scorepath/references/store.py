"""The reference jobs and their files: policies per environment, gradients per environment and noise level."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from scorepath.files import atomic_write
from scorepath.noise import Stream
from scorepath.records import require_intact
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import certified_reference
from scorepath.references.policies import ReferencePolicies, reference_policies
from scorepath.registry import make_environment
from scorepath.study import Study, policies_path, reference_path

Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Reference:
    """Reference gradients of one environment at one noise level.

    | field | meaning |
    |---|---|
    | gradients | (checkpoints, blocks, P), float64; one block when exact |
    | standard_error | (checkpoints,): Monte Carlo, or the quadrature's error |
    | reference_class | closed_form, linear_solve, recursion, quadrature or certified_monte_carlo |
    | certified | whether biases may be judged by it; one per checkpoint |
    | certified_by | why it can be trusted, or why not; one per checkpoint |
    | samples | trajectories behind it, 0 when exact |
    """

    gradients: Tensor
    standard_error: np.ndarray
    reference_class: str
    certified: list[bool]
    certified_by: list[str]
    samples: int


def make_policies(study: Study, environment: str) -> None:
    """Find and store the checkpoints of an environment."""
    instance, policy = make_environment(study.environments[environment])
    found = reference_policies(
        instance,
        policy,
        study.references.noise_level,
        study.references.return_gaps,
        Stream(study.seed, environment, "reference policies"),
    )
    with atomic_write(policies_path(environment), "wb") as file:
        np.savez(
            file,
            parameters=found.parameters.numpy(),
            returns=found.returns.numpy(),
            initial_return=found.initial_return,
            best_return=found.best_return,
        )


def load_policies(environment: str) -> ReferencePolicies:
    """The stored checkpoints of an environment."""
    return _load(
        policies_path(environment),
        lambda stored: ReferencePolicies(
            torch.from_numpy(stored["parameters"]),
            torch.from_numpy(stored["returns"]),
            float(stored["initial_return"]),
            float(stored["best_return"]),
        ),
    )


def make_reference(study: Study, environment: str, sigma: float) -> None:
    """Compute and store the reference gradients of an environment at one noise level, at every checkpoint."""
    instance, policy = make_environment(study.environments[environment])
    gradients, errors, certified, certified_by = [], [], [], []
    samples = 0
    for index, parameters in enumerate(load_policies(environment).parameters):
        if instance.reference_class == "certified_monte_carlo":
            samples = study.references.samples
            stream = Stream(study.seed, environment, f"reference/{index}")
            budget = study.references.error_budget
            blocks = study.gradients.batches
            found = certified_reference(instance, policy, parameters, sigma, stream, samples, blocks, budget)
            gradients.append(found.gradients)
            errors.append(found.standard_error)
            certified.append(found.certified)
            certified_by.append(found.certified_by)
        else:
            exact = exact_reference(instance, policy, parameters, sigma)
            gradients.append(exact.gradient[None])
            errors.append(exact.error)
            certified.append(True)
            certified_by.append(
                "exact" if exact.error == 0 else f"doubling the quadrature's nodes changed it by {exact.error:.1e}"
            )
    with atomic_write(reference_path(environment, sigma), "wb") as file:
        np.savez(
            file,
            gradients=torch.stack(gradients).numpy(),
            standard_error=np.array(errors),
            reference_class=instance.reference_class,
            certified=np.array(certified),
            certified_by=np.array(certified_by),
            samples=samples,
        )


def load_reference(environment: str, sigma: float) -> Reference:
    """The stored reference gradients of an environment at one noise level."""
    return _load(
        reference_path(environment, sigma),
        lambda stored: Reference(
            torch.from_numpy(stored["gradients"]),
            stored["standard_error"],
            str(stored["reference_class"]),
            [bool(flag) for flag in stored["certified"]],
            [str(text) for text in stored["certified_by"]],
            int(stored["samples"]),
        ),
    )


DAMAGED = (
    OSError, ValueError, TypeError, EOFError, KeyError, NotImplementedError, RuntimeError, BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise for an archive that is none, or not of the arrays that are looked for."""


def _load(path: Path, make: Callable[[Mapping[str, np.ndarray]], Stored]) -> Stored:
    """What is made of a file's arrays. Raises ValueError naming a file that is not what its job wrote."""
    require_intact(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return make(stored)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist yet; `snakemake --cores 1 {path}` makes it") from None
    except DAMAGED as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
