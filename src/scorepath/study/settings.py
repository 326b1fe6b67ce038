"""The configuration as typed objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scorepath.study.sweeps import Sweep


@dataclass(frozen=True)
class EnvironmentEntry:
    """A named instance of an environment family."""

    name: str
    family: str
    knobs: Mapping[str, Any]
    policy: Mapping[str, Any] | None = None
    like: str = ""
    """The name of the same environment with another initial policy; "" for the first of them."""
    plugin: str = ""
    """The user's file that defines the family; "" for those of this package."""
    squash: float | None = None
    """Actions are `squash * tanh(a)`; None where they are taken as they are."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Numbers of trajectories of its own, of `gradients` and of `references`."""
    noise_levels: tuple[float, ...] | None = None
    """Those of the study's at which its gradients are measured; None for all."""
    estimators: tuple[str, ...] | None = None
    """Likewise those of the study's estimators, by name."""

    @property
    def module(self) -> str:
        """The user's file that defines the policy's module; "" for policies of this package."""
        return str((self.policy or {}).get("module", "")).partition(":")[0]

    @property
    def weights(self) -> str:
        """The file of the policy's weights; "" if there is none."""
        return (self.policy or {}).get("weights", "")

    @property
    def is_plain(self) -> bool:
        """Whether formulas of the family hold: noise of the noise level, and actions that are taken as they are."""
        return self.squash is None and (self.policy or {}).get("standard_deviation", "fixed") == "fixed"


@dataclass(frozen=True)
class EstimatorEntry:
    """A named instance of an estimator."""

    name: str
    method: str
    options: Mapping[str, Any]
    plugin: str = ""
    """The user's file that defines the method; "" for those of this package."""


@dataclass(frozen=True)
class GradientSettings:
    """How gradient statistics are measured: trajectories per cell, per batch, and the rollouts' precision."""

    samples: int
    batch_size: int
    dtype: str

    @property
    def batches(self) -> int:
        return self.samples // self.batch_size


@dataclass(frozen=True)
class ReferenceSettings:
    """Where gradients are measured, how large a Monte Carlo reference is, and how precise it must be."""

    noise_level: float
    return_gaps: tuple[float, ...]
    samples: int
    error_budget: float


@dataclass(frozen=True)
class Optimiser:
    """The optimiser of all training runs; its learning rates are `TrainingSettings.learning_rates`."""

    name: str
    """As in `scorepath.training.OPTIMISERS`."""
    momentum: float | None
    """None for those that have none."""


@dataclass(frozen=True)
class TrainingSettings:
    """The training stage: which cells, and the one optimiser and grid that all of them share."""

    environments: tuple[str, ...]
    estimators: tuple[str, ...]
    noise_levels: tuple[float, ...]
    optimiser: Optimiser
    learning_rates: tuple[float, ...]
    extension: int
    seeds: int
    tuning_seeds: int
    iterations: int


@dataclass(frozen=True)
class Study:
    """The whole configuration."""

    seed: int
    noise_levels: tuple[float, ...]
    environments: Mapping[str, EnvironmentEntry]
    estimators: Mapping[str, EstimatorEntry]
    gradients: GradientSettings
    references: ReferenceSettings
    training: TrainingSettings
    cost_repeats: int
    resamples: int
    false_discovery_rate: float
    error_margin: float
    """The smallest ratio of two errors that matters in practice."""
    training_margin: float
    """The smallest difference of two training scores that does, on their scale from 0 to 1."""
    plugins: tuple[str, ...] = ()
    """The user's files, which every job that makes an environment or estimator imports, in this order."""
    sweeps: Mapping[str, Sweep] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    """The claims of the ledger that are tried by an experiment of their own."""
    module_plugins: tuple[str, ...] = ()
    """Those of them that define neither: they are imported for what else they do."""

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that the configuration names: plugins, and weights of policies."""
        weights = (entry.weights for entry in self.environments.values() if entry.weights)
        return tuple(dict.fromkeys((*self.plugins, *weights)))

    def gradients_of(self, environment: str) -> GradientSettings:
        """How an environment's gradients are measured: with samples of its own if it has them."""
        own = self.environments[environment].samples.get("gradients", self.gradients.samples)
        return replace(self.gradients, samples=own)

    def references_of(self, environment: str) -> ReferenceSettings:
        """Likewise its references."""
        own = self.environments[environment].samples.get("references", self.references.samples)
        return replace(self.references, samples=own)

    def is_dear(self, environment: str) -> bool:
        """Whether an environment has fewer samples of its own, so that whatever else samples it should be sparing."""
        return self.gradients_of(environment).samples < self.gradients.samples

    def noise_levels_of(self, environment: str) -> tuple[float, ...]:
        """The noise levels at which an environment's gradients are measured, in the study's order."""
        own = self.environments[environment].noise_levels
        return self.noise_levels if own is None else tuple(level for level in self.noise_levels if level in own)

    def landscape_level(self, environment: str) -> float:
        """The noise level along whose gradient a landscape is drawn: nearest to that of the checkpoints' training."""
        trained = self.references.noise_level or 1.0
        levels = self.noise_levels_of(environment)
        return min(levels, key=lambda sigma: (sigma == 0, abs(math.log((sigma or 1.0) / trained))))

    def estimators_of(self, environment: str) -> Mapping[str, EstimatorEntry]:
        """The estimators that they are measured with, by name, in the study's order."""
        own = self.environments[environment].estimators
        return {name: entry for name, entry in self.estimators.items() if own is None or name in own}

    def original(self, environment: str) -> str:
        """The environment itself, whatever the initial policy that it is measured with."""
        return self.environments[environment].like or environment

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Study:
        """Typed objects from a validated configuration (see `scorepath.study.validation`)."""
        tuples: dict[str, dict[str, Any]] = {
            section: {key: tuple(v) if isinstance(v, list) else v for key, v in config[section].items()}
            for section in ("gradients", "references", "training")
        }
        training = tuples["training"]
        optimiser = Optimiser(training.pop("optimiser"), training.pop("momentum", None))
        return cls(
            seed=config["seed"],
            noise_levels=tuple(config["noise_levels"]),
            environments={entry["name"]: _environment(entry) for entry in config["environments"]},
            estimators={entry["name"]: EstimatorEntry(**entry) for entry in config["estimators"]},
            gradients=GradientSettings(**tuples["gradients"]),
            references=ReferenceSettings(**tuples["references"]),
            training=TrainingSettings(**training, optimiser=optimiser),
            cost_repeats=config["costs"]["repeats"],
            resamples=config["statistics"]["resamples"],
            false_discovery_rate=config["statistics"]["false_discovery_rate"],
            error_margin=config["statistics"]["error_margin"],
            training_margin=config["statistics"]["training_margin"],
            sweeps={entry["name"]: _sweep(entry) for entry in config.get("sweeps", ())},
            claims=tuple(config.get("claims", ())),
            plugins=tuple(config.get("plugins", ())),
            module_plugins=tuple(config.get("module_plugins", ())),
        )


def _environment(entry: Mapping[str, Any]) -> EnvironmentEntry:
    parts = {name: tuple(entry[name]) for name in ("noise_levels", "estimators") if entry.get(name) is not None}
    return EnvironmentEntry(**{**entry, **parts})


def _sweep(entry: Mapping[str, Any]) -> Sweep:
    values = {part: {name: tuple(each) for name, each in entry[part].items()} for part in ("axes", "over")}
    return Sweep(**{**entry, **values, "rivals": tuple(entry["rivals"])})
