"""What estimators share that look a limited number of steps ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator


@dataclass(frozen=True, kw_only=True)
class WindowedEstimator(ActionSignalEstimator):
    """A derivative of the next `window` steps: pathwise itself when the window holds the whole trajectory."""

    window: int = 5

    family: ClassVar[str] = "pathwise"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window must be at least 1 step, got {self.window}")

    def unbiased(self, environment: Environment) -> bool:
        return environment.continuous and self.window >= environment.horizon

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        if self.window < environment.horizon:
            return None
        return "pathwise" if sigma > 0 else "deterministic_pathwise"
