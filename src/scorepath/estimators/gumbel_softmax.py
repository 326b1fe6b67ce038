"""Gumbel-softmax: discrete actions are relaxed to convex combinations, which the return can be differentiated by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scorepath.estimators._relaxation import RelaxedEstimator


@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(RelaxedEstimator):
    """Approximates the gradient of the relaxed return. With `delta_t = dR / dlogits_t` through the relaxed actions.

    `a_t = softmax((logits_t / sigma + Gumbel noise) / temperature)` takes the place of the one-hot choice, the limit at
    temperature 0: there the bias vanishes and the variance grows without bound. The simulation runs on relaxed actions
    and states. Requires an environment that takes them, and sigma > 0.
    """

    source: ClassVar[str] = "Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017"
    bias: ClassVar[str] = "biased: unbiased for the relaxed return, which is another objective at every temperature > 0"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"temperature": 0.1},)
