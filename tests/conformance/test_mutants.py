"""Errors that people do make, planted one at a time: the conformance checks catch each, and not its original.

A mutant is a subclass that differs from a real environment or estimator in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from scorepath import registry
from scorepath.adjoint import backpropagate
from scorepath.conformance import check_environment, check_estimator, check_expectations
from scorepath.conformance.problems import PROBLEMS
from scorepath.environments.base import Environment
from scorepath.environments.cosine import Cosine
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.estimators.antithetic import Antithetic
from scorepath.estimators.base import Estimator
from scorepath.estimators.evolution_strategies import EvolutionStrategies
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.measure_valued import MeasureValued
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.estimators.state_value_baseline import StateValueBaseline
from scorepath.estimators.zero_noise_baseline import ZeroNoiseBaseline
from scorepath.noise import Noise
from scorepath.policies import Policy
from scorepath.rollout import Simulator, Trajectories

torch.set_num_threads(1)

MUTANTS: list[Any] = []
"""(original, mutant, words of the finding), instances of both."""


def mutant_of(original: Environment | Estimator, words: str) -> Callable[[type], type]:
    """Lists a mutated class: an instance with the original's fields has to be found out in these words."""

    def listed(kind: type[Any]) -> type[Any]:
        fields = {name: getattr(original, name) for name in registry.knobs(type(original))}
        MUTANTS.append(pytest.param(original, kind(**fields), words, id=kind.__name__))
        return kind

    return listed


def findings(instance: Environment | Estimator) -> list[str]:
    if isinstance(instance, Environment):
        return check_environment(instance)
    return check_estimator(instance) or check_expectations(instance)


# --- estimators: wrong expectation -----------------------------------------------------------------------------------


@mutant_of(Reinforce(), "not unbiased")
class NoiseNotDividedBySigma(Reinforce):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, simulator.sigma * signal


@mutant_of(Reinforce(), "not unbiased")
class WrongSign(Reinforce):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, -signal


@mutant_of(RewardToGo(), "not unbiased")
class OwnRewardLeftOut(RewardToGo):
    """G_{t+1} in the place of G_t."""

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return None

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal - trajectories.rewards[..., None] * trajectories.score


@mutant_of(RewardToGo(), "not unbiased")
class DiscountedToItsOwnStep(RewardToGo):
    """The factor gamma^t is forgotten, as in most implementations of discounted policy gradients."""

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        steps = torch.arange(signal.shape[2]).to(signal)
        return trajectories, signal / simulator.environment.discount ** steps[:, None]


@mutant_of(Pathwise(), "not unbiased")
class DynamicsCut(Pathwise):
    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return None

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        return backpropagate(simulator, noise.rollout, window=1)


@mutant_of(Pathwise(), "not unbiased")
class JumpsDoNotMatter(Pathwise):
    def unbiased(self, environment: Environment) -> bool:
        return True


@mutant_of(LeaveOneOut(), "not unbiased")
class OwnSampleInTheBaseline(LeaveOneOut):
    leaves_one_out = False

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal * (1 - 1 / noise.samples)


@mutant_of(MeasureValued(), "not unbiased")
class BranchNotWeightedByTheHorizon(MeasureValued):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal / simulator.environment.horizon


@mutant_of(EvolutionStrategies(perturbation=0.5), "not unbiased")
class SmoothingIsNoBias(EvolutionStrategies):
    def unbiased(self, environment: Environment) -> bool:
        return True


# --- estimators: wrong numbers ---------------------------------------------------------------------------------------


@mutant_of(Reinforce(), "estimate() is not the mean of gradients()")
class SumInsteadOfMean(Reinforce):
    def estimate(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Tensor, Any]:
        estimate, trajectories = super().estimate(simulator, noise, past)
        return noise.samples * estimate, trajectories


@mutant_of(Reinforce(), "a batch's gradients change when the other batches do")
class OneSeedForAllBatches(Reinforce):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        first = [noise.replicates[0]] * len(noise.replicates)
        return super().signal(simulator, replace(noise, replicates=first), past)


@mutant_of(Reinforce(), "a sample's gradient changes when its batch-mates do")
class UndeclaredBaseline(Reinforce):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        return LeaveOneOut().signal(simulator, noise, past)

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return None


@mutant_of(MeasureValued(), "draws random numbers of its own")
class GlobalGenerator(MeasureValued):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal * (1 + 0.1 * torch.randn(()))


@mutant_of(MeasureValued(), "a sample's gradient changes when its batch-mates do")
class FixedPrivateGenerator(MeasureValued):
    """Repeatable, and yet no function of the noise it is given."""

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        draws = torch.randn(signal.shape[1], 1, 1, generator=torch.Generator().manual_seed(0))
        return trajectories, signal * (1 + 0.1 * draws.to(signal))


@mutant_of(EvolutionStrategies(), "a batch gets another policy's numbers")
class FirstPolicyForAll(EvolutionStrategies):
    def gradients(self, simulator: Simulator, noise: Noise, past: Any = None) -> Iterator[Tensor]:
        parameters = simulator.parameters
        return super().gradients(replace(simulator, parameters=parameters.reshape(-1, parameters.shape[-1])[0]), noise)


@mutant_of(Pathwise(), "needs_differentiable_dynamics = True")
class HiddenDerivative(Pathwise):
    needs_differentiable_dynamics: ClassVar[bool] = False


@mutant_of(Antithetic(), "environment_steps() charges 3 steps per sample, but 6 are simulated")
class MirrorImageForFree(Antithetic):
    def environment_steps(self, environment: Environment) -> float:
        return environment.horizon


@mutant_of(ZeroNoiseBaseline(), "environment_steps() charges 3 steps per sample, but 6 are simulated")
class BaselineForFree(ZeroNoiseBaseline):
    def environment_steps(self, environment: Environment) -> float:
        return environment.horizon


@mutant_of(RewardToGo(), "identical_to() names 'reinforce'")
class CausalityChangesNothing(RewardToGo):
    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return "reinforce"


@mutant_of(StateValueBaseline(), "depends on earlier trajectories: declare needs_past = True")
class UndeclaredPast(StateValueBaseline):
    needs_past: ClassVar[bool] = False


@mutant_of(Reinforce(), "yields nan or infinity")
class StandardisedByOneReturn(Reinforce):
    """By the standard deviation of each trajectory's returns, of which there is one."""

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal / trajectories.returns[..., None].std(-1, correction=0)[..., None, None]


@mutant_of(ZeroNoiseBaseline(), "changes the parameters, the noise or the past it is given in place")
class NoiseErased(ZeroNoiseBaseline):
    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        result = super().signal(simulator, noise, past)
        noise.rollout.action.zero_()
        return result


# --- environments ----------------------------------------------------------------------------------------------------


@mutant_of(LQR(), "step() changed its input `state` in place")
class InPlace(LQR):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return state.copy_(next_state), reward


@mutant_of(Pendulum(), "step() draws random numbers of its own")
class TorchRandomness(Pendulum):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state + 0.01 * torch.randn_like(next_state), reward


@mutant_of(Pendulum(), "step() draws random numbers of its own")
class OwnGenerator(Pendulum):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward + np.random.default_rng().standard_normal()


@mutant_of(LQR(), "the reward of step() changes for one row of a batch when the other rows do")
class NormalisedReward(LQR):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward - reward.mean()


@mutant_of(LQR(), "the reward of step() is torch.float32 where its inputs are torch.float64")
class SinglePrecisionReward(LQR):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward.float()


@mutant_of(LQR(), "the reward of step() has shape (1,) where the batch has shape (): it must be ()")
class RewardPerCoordinate(LQR):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward.unsqueeze(-1)


@mutant_of(Pendulum(), "the return jumps")
class RoundedState(Pendulum):
    """Its derivative is zero wherever it exists, so it agrees with central differences almost everywhere."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state.round(decimals=2), reward


@mutant_of(Step(), "the return jumps by 1")
class JumpDenied(Step):
    continuous: ClassVar[bool] = True


@mutant_of(Pendulum(), "torch's derivative of the next state of step() by the action differs")
class DetachedAction(Pendulum):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(state, action.detach(), process_noise)


@mutant_of(Pendulum(), "torch's derivative of the result of observe() by the state differs")
class DetachedObservation(Pendulum):
    def observe(self, state: Tensor) -> Tensor:
        return super().observe(state).detach()


@mutant_of(SoftStep(), "no derivative reaches the return")
class FlatAndCut(SoftStep):
    """A reward of zero needs no derivative, but torch has to find its way back to the action."""

    reference_class: ClassVar[Any] = "quadrature"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, torch.zeros_like(action[..., 0])


@mutant_of(LQR(), "the mean of")
class CostCountedTwice(LQR):
    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return 2 * super().expected_return(policy, parameters, sigma)


@mutant_of(Cosine(), "torch's derivative of expected_return()")
class ObjectiveCut(Cosine):
    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return super().expected_return(policy, parameters, sigma).detach() + 0 * parameters.sum()


@mutant_of(LQR(discount=0.5), "the mean of")
class DiscountForgotten(LQR):
    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return LQR.expected_return(replace(self, discount=1.0), policy, parameters, sigma)


@mutant_of(Pendulum(process_noise=0.1), "step() does not use its process noise")
class NoiseIgnored(Pendulum):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(state, action, 0 * process_noise)


@mutant_of(LQR(), "terminal_reward_only is declared, but step() pays rewards")
class PaysOnTheWay(LQR):
    terminal_reward_only: ClassVar[bool] = True


@mutant_of(Grid(), "step() pays a reward after an episode's end")
class PaysAfterTheEnd(Grid):
    def move_rewards(self) -> Tensor:
        return super().move_rewards() - 0.1


@mutant_of(Quadratic(), "is not finite at")
class Overflow(Quadratic):
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, (1.0 + reward).sqrt()


@mutant_of(Step(), "jump_locations() names places where the return does not jump")
class JumpElsewhere(Step):
    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor:
        return super().jump_locations(actions, process) + 0.1


@pytest.mark.parametrize(("original", "mutant", "words"), MUTANTS)
def test_a_planted_error_is_found_out(
    original: Environment | Estimator, mutant: Environment | Estimator, words: str
) -> None:
    found = findings(mutant)
    assert any(words in finding for finding in found), found


ORIGINALS = list(dict.fromkeys(mutant.values[0] for mutant in MUTANTS))


@pytest.mark.parametrize("original", ORIGINALS, ids=repr)
def test_the_original_has_no_such_error(original: Environment | Estimator) -> None:
    assert findings(original) == []


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 12
    assert {isinstance(mutant.values[1], Environment) for mutant in MUTANTS} == {True, False}


def test_mutants_differ_from_their_originals_as_intended() -> None:
    """Where a mutant's numbers are known multiples of the original's."""
    problem = PROBLEMS[2]  # lqr: three steps, eight samples
    for mutant, original, factor in [
        (NoiseNotDividedBySigma(), Reinforce(), problem.sigma),
        (WrongSign(), Reinforce(), -1),
        (BranchNotWeightedByTheHorizon(), MeasureValued(), 1 / 3),
        (OwnSampleInTheBaseline(), LeaveOneOut(), 7 / 8),
        (SumInsteadOfMean(), Reinforce(), 8),
    ]:
        found, expected = (each.estimate(problem.simulator, problem.noise())[0] for each in (mutant, original))
        torch.testing.assert_close(found, factor * expected)
