"""The problems whose exact gradients and variances estimates are compared with in tests/statistical.

`PROBLEMS` has one for each family of environments with an exact gradient; where the conformance checks have a problem
of the family it is theirs. Noise is low against signal in all of them, so that small errors show: small problems far
from their optimum, sigma about the length scale of the landscape. `CLOSED_FORMS` has those at which formulas of
variances are short: all at one mean and one noise level.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scorepath.conformance import problems
from scorepath.conformance.problems import Problem
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.bouncing_ball import BouncingBall
from scorepath.environments.bump import Bump
from scorepath.environments.cosine import Cosine
from scorepath.environments.coulomb_slide import CoulombSlide
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.relu import Relu
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.environments.stiff_push import StiffPush
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.base import Estimator
from scorepath.measurement import sample_batches
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference

_SHARED = {problem.name: problem for problem in problems.PROBLEMS}

PROBLEMS = {
    problem.name: problem
    for problem in (
        _SHARED["quadratic"],
        Problem(Cosine(frequency=2.0, phase=1.5), 0.3),
        Problem(Ripple(frequency=4.0, amplitude=0.2, offset=1.0), 0.3, 0.0),
        _SHARED["step"],
        Problem(SoftStep(edge=0.1, width=0.3), 0.3, 0.0),
        _SHARED["lqr"],  # two states, one action, gamma = 0.8: forgetting a power of gamma is a bias
        Problem(AngleDoubling(doublings=2, discount=0.9), 0.05, 0.0),
        Problem(BallWithWall(), 0.05, 0.05),
        Problem(BouncingBall(), 0.3, 1.35),
        Problem(CoulombSlide(), 0.3, 0.9),
        Problem(StiffPush(stiffness=100.0), 0.2, 0.0),
        _SHARED["chain"],
        Problem(Grid(rows=2, columns=2, horizon=3, step_cost=0.3, discount=0.8), 0.7, (0.2, 0.3, -0.1, -0.4) * 4),
        Problem(Bump(steepness=1.0, offset=1.0), 0.7, 0.0),
        Problem(Relu(kink=-0.2), 0.3, 0.0),
        Problem(UniformSupport(offset=0.4), 0.3),
        Problem(TanhRidge(dimension=3), 0.3, 0.0),
        # a field with a steep slope at the start
        Problem(FourierField(dimension=2, correlation_length=0.7, waves=16, field_seed=5), 0.3, 0.0),
        Problem(RandomWalkDigital(horizon=3, discount=0.9), 0.3, 0.03),
        Problem(RandomWalkCall(horizon=2, strike=-0.3, discount=0.9), 0.3, 0.0),
    )
}

_lqr = _SHARED["lqr"].environment
assert isinstance(_lqr, LQR)
LQR_WITH_NOISE = replace(_SHARED["lqr"], environment=replace(_lqr, process_noise=0.2, reward_noise=0.1))
"""That of `PROBLEMS` with noise in its dynamics and rewards."""
LQR_WITHOUT_RANDOMNESS = Problem(
    LQR(horizon=6, process_noise=0.0, initial_mean=1.0, initial_std=0.0, discount=0.8), 0.5, -0.4
)
"""Without any but the policy's."""
ANGLE_AT_EVERY_STEP = Problem(AngleDoubling(doublings=2, noise_at="every_step"), 0.05, 0.3)

MEAN, SIGMA, GAIN = 0.3, 0.5, -0.4
CLOSED_FORMS = {
    "quadratic": Problem(Quadratic(dimension=1, offset=1.0), SIGMA, MEAN),
    "quadratic-4d": Problem(Quadratic(dimension=4, offset=1.0), SIGMA, MEAN),
    "quadratic-8d": Problem(Quadratic(dimension=8, offset=1.0), SIGMA, MEAN),
    "cosine": Problem(Cosine(frequency=2.0, phase=1.0), SIGMA, MEAN),
    "step": Problem(Step(edge=0.1), SIGMA, MEAN),
    "soft_step": Problem(SoftStep(edge=0.1, width=0.8), SIGMA, MEAN),
    "lqr": Problem(LQR(horizon=8, dynamics=((0.8,),), initial_std=0.3, process_noise=0.3, discount=0.9), SIGMA, GAIN),
    "lqr-one-step": Problem(LQR(horizon=1, initial_std=0.3, process_noise=0.3, discount=0.9), SIGMA, GAIN),
}


def gradient_of(problem: Problem) -> Tensor:
    """The exact gradient, (P,)."""
    return exact_reference(problem.simulator).gradient


def basis_of(problem: Problem, most: int = 16) -> Tensor:
    """Orthonormal directions as columns, (P, K): the exact gradient's first, then fixed random ones."""
    gradient = gradient_of(problem)
    count = len(gradient)
    draws = torch.randn(count, count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    columns = torch.cat([gradient[:, None], draws], 1)[:, : min(count, most)]
    return torch.linalg.qr(columns).Q


def sample(problem: Problem, estimator: Estimator, stream: Stream, batches: int, size: int) -> Tensor:
    """Gradient estimates of independent batches of so many samples, (batches, P)."""
    return sample_batches(estimator, problem.simulator, stream, range(batches), size, torch.float64).means
