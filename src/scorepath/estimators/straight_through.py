"""Straight-through Gumbel-softmax: the simulation runs on the choices, the derivative on their relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.estimators._relaxation import RelaxedEstimator


@dataclass(frozen=True, kw_only=True)
class StraightThrough(RelaxedEstimator):
    """Approximates grad J_sigma. With `delta_t = dR / dlogits_t`, where a choice's derivative is that of a softmax.

    Forwards `a_t` is the one-hot choice; backwards it is `softmax((logits_t / sigma + Gumbel noise) / temperature)`.
    Requires an environment that can be differentiated at convex combinations of actions, and sigma > 0.
    """

    source: ClassVar[str] = "Bengio, Leonard & Courville 2013; Jang, Gu & Poole 2017"
    bias: ClassVar[str] = "biased at every temperature: the relaxation's derivative is taken at unrelaxed actions"

    def relax(self, perturbed: Tensor) -> Tensor:
        soft = super().relax(perturbed)
        hard = torch.nn.functional.one_hot(perturbed.argmax(-1), perturbed.shape[-1]).to(soft)
        return hard + (soft - soft.detach())  # exactly `hard`
