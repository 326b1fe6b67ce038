"""Contact in one decision: the actions at which tests compare it with other integrations of the same mechanics."""

from __future__ import annotations

import numpy as np
import torch

from scorepath.environments.base import Environment
from scorepath.references.quadrature import decision_return

ACTIONS = np.linspace(-2.0, 2.5, 10)


def returns(environment: Environment, actions: np.ndarray = ACTIONS) -> np.ndarray:
    found: np.ndarray = decision_return(environment, torch.tensor(actions)).numpy()
    return found
