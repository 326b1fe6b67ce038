"""The references' files: policies per environment, gradients per environment and noise level."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from scorepath.references.checkpoints import ReferencePolicies
from scorepath.references.monte_carlo import DERIVATIVE
from scorepath.store.files import atomic_write
from scorepath.store.paths import policies_path, reference_path
from scorepath.store.records import require_intact

Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Reference:
    """Reference gradients of one environment at one noise level.

    | field | meaning |
    |---|---|
    | gradients | (checkpoints, batches, P), float64; one batch when exact |
    | standard_error | (checkpoints,): Monte Carlo, or the quadrature's error |
    | reference_class | closed_form, linear_solve, recursion, quadrature or certified_monte_carlo |
    | certified | whether biases may be judged by it; one per checkpoint |
    | certified_by | why it can be trusted, or why not; one per checkpoint |
    | estimated_by | of a Monte Carlo estimate by what, else the class; one per checkpoint |
    | noticeable | (checkpoints,): smallest bias, by the gradient's length, that would have shown; 0 when exact |
    | continuous | whether the environment is declared so |
    | findings | in words, the jump that refutes a declared continuity or a ramp that is one there; one per checkpoint |
    | jump_shares | (checkpoints,): of trajectories, those expected on the ramp found; 0 of a jump, or of nothing |
    | samples | trajectories behind it, 0 when exact |
    """

    gradients: Tensor
    standard_error: np.ndarray
    reference_class: str
    certified: list[bool]
    certified_by: list[str]
    estimated_by: list[str]
    noticeable: np.ndarray
    continuous: bool
    findings: list[str]
    jump_shares: np.ndarray
    samples: int

    def without_derivatives(self, finding: str) -> Reference:
        """The same, but no derivative certifies anything: this finding of another noise level refutes them."""
        every = zip(self.estimated_by, self.certified, self.certified_by, strict=True)
        why = f"not certified: derivatives are blind to a jump ({finding}); "
        found = [(False, why + how) if by == DERIVATIVE and sure else (sure, how) for by, sure, how in every]
        return replace(self, certified=[sure for sure, _ in found], certified_by=[how for _, how in found])


def save_policies(environment: str, found: ReferencePolicies) -> None:
    """Store the checkpoints of an environment."""
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


def save_reference(environment: str, sigma: float, found: Reference) -> None:
    """Store the reference gradients of an environment at one noise level."""
    with atomic_write(reference_path(environment, sigma), "wb") as file:
        np.savez(
            file,
            gradients=found.gradients.numpy(),
            standard_error=found.standard_error,
            reference_class=found.reference_class,
            certified=np.array(found.certified),
            certified_by=np.array(found.certified_by),
            estimated_by=np.array(found.estimated_by),
            noticeable=found.noticeable,
            continuous=found.continuous,
            findings=np.array(found.findings),
            jump_shares=found.jump_shares,
            samples=found.samples,
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
            [str(text) for text in stored["estimated_by"]],
            stored["noticeable"],
            bool(stored["continuous"]),
            [str(text) for text in stored["findings"]],
            stored["jump_shares"],
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
