"""`sp.advise`: right where it answers, silent where it cannot know, within its budget, and stopped at any time."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from benchmarks.advisor_truth import log10_ratio
from tests.helpers.advised import Arm, Counting, HeavyReward, LogisticMap, Numpy, RareJump, Standing
from tests.helpers.own_std import ONES_OWN
from torch import Tensor

import scorepath as sp
from scorepath import advisor, forecast, probes
from scorepath._notebook import WRAPPED
from scorepath.advice import DERIVATIVE_FREE, INSUFFICIENT, NO_PATHWISE
from scorepath.answers import answer_of
from scorepath.clock import Clock
from scorepath.environments.base import make_policy


@pytest.mark.parametrize(
    "environment", [Arm(), RareJump(), LogisticMap(), HeavyReward(), Numpy()], ids=lambda e: type(e).__name__
)
def test_answers_about_strangers_simulators_are_those_of_brute_force(environment: sp.Environment) -> None:
    """Each answer against 12,800 trajectories that it has not seen; none is nearer than a tenth of a decade."""
    answered = 0
    for answer in sp.advise(environment, noise_levels=[0.1, 0.3], budget=20).answers:
        if answer.verdict in ("pathwise", DERIVATIVE_FREE):
            truth = log10_ratio(sp.Simulator(environment, sigma=answer.sigma), answer.rival, batches=50)
            assert (truth > 0) == (answer.verdict == "pathwise"), answer
            answered += 1
    assert answered


def test_an_undeclared_jump_never_ends_in_pathwise() -> None:
    """At little noise the jump is out of the batches' sight and pathwise looks excellent."""
    advice = sp.advise(Standing(), noise_levels=[0.1, 1.0], budget=20)
    small, large = advice.answers
    assert small.verdict == INSUFFICIENT
    assert small.ratio.low > 1, "what the batches alone would have said"
    assert small.probability <= forecast.CAP < 0.9
    assert "jump" in small.needs
    assert large.verdict != "pathwise"
    assert large.reason == "jump"


def test_pathwise_is_not_said_while_a_bias_could_hide() -> None:
    """A cosine finer than branches resolve: variances alone may favour pathwise, the room for a bias does not."""
    for sigma in (0.01, 0.03, 0.1):
        (answer,) = sp.advise(
            sp.environments.Ripple(frequency=20.0, amplitude=0.1, offset=1.0), noise_levels=[sigma], budget=5
        ).answers
        if answer.verdict == "pathwise":
            assert answer.evidence is not None
            assert answer.evidence.cautious_low > 0


def test_where_the_winner_changes() -> None:
    environment = sp.environments.Cosine(frequency=10.0, phase=1.0)
    advice = sp.advise(environment, noise_levels=[0.03, 0.1, 0.3], budget=10)
    assert [each.verdict for each in advice.answers] == ["pathwise", DERIVATIVE_FREE, DERIVATIVE_FREE]
    (crossing,) = advice.noise_crossings
    assert 0.03 < crossing.low <= crossing.value <= crossing.high <= 0.3
    chaos = sp.advise(LogisticMap(), noise_levels=[0.03], budget=10)
    assert chaos.horizon_crossing is not None
    assert 2 <= chaos.horizon_crossing.value <= 20


@pytest.mark.parametrize(
    "environment", [sp.environments.Chain(), sp.environments.Grid()], ids=lambda e: type(e).__name__
)
def test_without_derivatives_the_best_of_the_others_is_named(environment: sp.Environment) -> None:
    (answer,) = sp.advise(environment, noise_levels=[1.0], budget=5).answers
    assert answer.verdict == NO_PATHWISE
    assert answer.recommendation in ("leave_one_out", "state_value_baseline")
    assert "actions are discrete" in answer.why
    assert answer.ratio_at_equal_seconds.value > 0


@dataclass(frozen=True, kw_only=True)
class Slow(Arm):
    """As a simulator that takes its time, and counts it."""

    pause: float = 0.02

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        time.sleep(self.pause)
        return super().step(state, action, process_noise)


@pytest.mark.parametrize("pause", [0.02, 3.0])
def test_no_users_code_runs_twice_as_long_as_the_budget(pause: float) -> None:
    start = time.monotonic()
    advice = sp.advise(Slow(pause=pause), budget=2)
    assert time.monotonic() - start < 4
    assert len(advice.answers) == 3
    if pause > 1:
        assert "times the budget" in advice.stopped
        assert {each.verdict for each in advice.answers} == {INSUFFICIENT}


def test_ctrl_c_gives_the_answer_so_far() -> None:
    told: list[str] = []

    def progress(line: str) -> None:
        told.append(line)
        if " 4 more of " in line or len(told) > 60:
            raise KeyboardInterrupt

    advice = sp.advise(sp.environments.LQR(horizon=10), noise_levels=[0.1], budget=30, progress=progress)
    assert advice.stopped == "stopped by Ctrl-C"
    assert advice.answers[0].batches == 4
    assert "about 8 batches instead of 4" in advice.answers[0].needs
    assert "the answer so far" in str(advice)
    assert told[0].startswith("LQR: how long")


def test_the_json_holds_everything_and_nothing_that_json_has_not() -> None:
    advice = sp.advise(sp.environments.Step(edge=0.1), noise_levels=[0.01, 0.3], budget=5)
    content: dict[str, Any] = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert content["format"] == 1
    assert content["model"] == forecast.shipped().sha256
    assert {"environment", "policy", "horizon", "answers", "noise_crossings", "findings", "seconds"} <= set(content)
    first, second = content["answers"]
    assert (first["verdict"], second["verdict"]) == (INSUFFICIENT, DERIVATIVE_FREE)
    assert second["ratio"]["low"] <= second["ratio"]["value"] <= second["ratio"]["high"] < 1
    assert list(advice.to_frame()["sigma"]) == [0.01, 0.3]
    assert f'<pre style="{WRAPPED}">sigma = 0.3' in advice.to_html()
    assert "pre-wrap" in WRAPPED, "whatever the window's width, all of a line is seen"


def test_the_same_seed_gives_the_same_evidence() -> None:
    first, again = (sp.advise(sp.environments.Quadratic(), noise_levels=[0.1], budget=5, seed=3) for _ in range(2))
    assert first.answers[0].evidence == again.answers[0].evidence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_levels": [0.0]}, "noise levels must be positive"),
        ({"noise_levels": []}, "noise levels must be positive"),
        ({"budget": 0}, "budget must be a positive number of seconds"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"budget": float("inf")}, "budget must be a positive number of seconds"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"horizon": 3}, "horizon is no knob of Quadratic"),
        ({"policy": "mpl"}, "policy kind 'mpl' is unknown"),
        ({"policy": sp.Network((7, 1))}, "the policy does not fit"),
        ({"policy": sp.Network((1, 7))}, "the policy gives 7 numbers, but an action has 1"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sp.advise(sp.environments.Quadratic(dimension=1), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_levels": "a"}, "noise_levels must be numbers, got 'a'"),
        ({"noise_levels": [0.1, None]}, r"noise_levels must be numbers, got \[0.1, None\]"),
        ({"budget": "a"}, "budget must be a number, got 'a'"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, got 2.5"),
        ({"seed": 0.5}, "seed must be a whole number, got 0.5"),
        ({"horizon": 2.5}, "horizon must be a whole number, got 2.5"),
    ],
)
def test_what_is_no_number_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        sp.advise(Arm(), **arguments)


def test_one_noise_level_need_not_be_a_list() -> None:
    (answer,) = sp.advise(sp.environments.Quadratic(), noise_levels=0.1, budget=5).answers
    assert answer.sigma == 0.1


@pytest.mark.parametrize("horizon", [0, -3])
def test_an_episode_has_a_step_at_least(horizon: int) -> None:
    """Where the horizon is a knob of anybody's class, asked for by either way."""
    for ask in (lambda: sp.advise(Arm(), horizon=horizon), lambda: Arm(horizon=horizon)):
        with pytest.raises(ValueError, match=f"horizon must be at least 1, got {horizon}"):
            ask()


def test_an_open_loop_of_another_length_does_not_fit() -> None:
    with pytest.raises(ValueError, match="an open loop of 5 steps, but an episode has 15; `open_loop` makes one"):
        sp.advise(Arm(), policy=sp.OpenLoop(5, 2))


@dataclass(frozen=True, kw_only=True)
class Unsummed(Arm):
    """A reward with one dimension too many."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, -state[..., :1].square()


@dataclass(frozen=True, kw_only=True)
class OnFire(Arm):
    """An error of its own."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        raise KeyError("motor on fire")


@dataclass(frozen=True, kw_only=True)
class NoGraph(Arm):
    """Numpy without Jacobians, declared differentiable."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(1.0 * state.numpy()), -state.square().sum(-1)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (Unsummed(), r"reward of step\(\) has shape \(1, 4, 1\) .* must be \(1, 4\) \(step\(\) begins at line \d+ of "),
        (OnFire(), r"step\(\) raised KeyError at line \d+ of test_advisor.py: 'motor on fire'"),
        (sp.squashed(OnFire()), r"step\(\) raised KeyError at line \d+ of test_advisor.py: 'motor on fire'"),
        (
            NoGraph(),
            r"raised RuntimeError at line \d+ of test_advisor.py: Can't call numpy.*declare differentiable",
        ),
    ],
    ids=["shape", "error", "squashed", "numpy"],
)
def test_what_a_simulator_does_wrong_at_once_is_said_with_its_line(environment: sp.Environment, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sp.advise(environment, noise_levels=[0.1], budget=5)


@dataclass(frozen=True, kw_only=True)
class Exploding(Arm):
    """Unstable: it overflows."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = 1e40 * (state + 1)
        return following, torch.exp(following.sum(-1))


def test_an_unstable_simulation_is_named() -> None:
    advice = sp.advise(Exploding(), noise_levels=[0.1], budget=5)
    assert "unstable: 100 % of the returns are not finite at sigma = 0.1" in str(advice)
    assert advice.answers[0].needs == "a simulation that is stable under this noise"
    assert advice.answers[0].verdict == INSUFFICIENT


@dataclass(frozen=True, kw_only=True)
class Log(sp.Environment):
    """The reward is nan where noise makes the state negative."""

    horizon: int = 5
    source = "test"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    initial_noise_dim = 1

    def initial_state(self, noise: Tensor) -> Tensor:
        return 1.0 + 0.01 * noise

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = state + action
        return following, torch.log(following).sum(-1)


def test_noise_that_breaks_a_simulation_says_nothing_of_less_noise() -> None:
    small, large = sp.advise(Log(), noise_levels=[0.03, 1.0], budget=10).answers
    assert small.verdict == "pathwise"
    assert (large.verdict, large.needs) == (INSUFFICIENT, "a simulation that is stable under this noise")


@dataclass(frozen=True, kw_only=True)
class Detached(Arm):
    """A part of the way to the reward is hidden from derivatives."""

    hidden: float = 0.5

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following, reward = super().step(state, action, process_noise)
        return following.detach() * self.hidden + following * (1 - self.hidden), reward


def test_a_wrong_derivative_is_no_jump_and_no_crossing() -> None:
    for hidden in (0.015, 0.5):  # the audit sees the second one, batches alone both
        advice = sp.advise(Detached(hidden=hidden), noise_levels=[0.03, 0.3], budget=10)
        ahead = [answer.evidence.lead > 0 for answer in advice.answers if answer.evidence]
        assert len(advice.noise_crossings) <= len(set(ahead)) - bool(ahead)
        assert [answer.reason == "derivatives" for answer in advice.answers] == [hidden == 0.5] * 2
        for answer in advice.answers:
            assert hidden < 0.5 or answer.verdict == NO_PATHWISE
            if answer.reason == "bias":
                assert "detached" in answer.why
            assert answer.reason != "jump"


def test_where_not_one_trajectory_ends_no_budget_is_promised() -> None:
    inquiry = advisor._Inquiry([sp.Simulator(Arm(), sigma=0.1)], 64, 0, forecast.shipped(), Clock(1.0), print)
    assert "not one trajectory ended" in inquiry.advice("").answers[0].needs


@pytest.mark.parametrize("name", ["module", "module, learned", "network", "one step", "open loop, learned"])
def test_policies_with_a_standard_deviation_of_their_own_are_advised_about(name: str) -> None:
    """The measure-valued derivative does not exist for them, and that is said."""
    lqr = sp.environments.LQR(horizon=8)
    own = {**ONES_OWN, "open loop, learned": (lqr, make_policy(lqr, "open_loop", standard_deviation="learned"))}
    environment, policy = own[name]
    advice = sp.advise(environment, policy=policy, noise_levels=[0.3], budget=8)
    assert advice.answers[0].batches >= 8
    assert advice.answers[0].rival in ("leave_one_out", "state_value_baseline")
    assert "rivals: measure_valued does not exist here: the policy has a standard deviation of its own" in str(advice)


@dataclass(frozen=True, kw_only=True)
class NoDerivatives(Arm):
    """As a simulator of which nobody has derivatives."""

    differentiable: ClassVar[bool] = False


def test_without_derivatives_a_policy_with_its_own_standard_deviation_has_one_estimator_left() -> None:
    environment = NoDerivatives(horizon=1)
    policy = make_policy(environment, "linear", standard_deviation="learned")
    (answer,) = sp.advise(environment, policy=policy, noise_levels=[0.3], budget=5).answers
    assert (answer.verdict, answer.recommendation, answer.rival) == (NO_PATHWISE, "leave_one_out", "")


@dataclass(frozen=True, kw_only=True)
class Constant(NoDerivatives):
    """Every return is the same, whatever is done: as of a task that nobody solves within the horizon."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, -torch.ones_like(state[..., 0])


@dataclass(frozen=True, kw_only=True)
class Even(NoDerivatives):
    """The return is even in the actions, and the first policy's mean is 0."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, -action.square().sum(-1)


def test_without_derivatives_the_best_is_named_with_its_lead_and_what_differences_would_do() -> None:
    (answer,) = sp.advise(NoDerivatives(horizon=5), noise_levels=[0.3], budget=8).answers
    assert answer.verdict == NO_PATHWISE
    assert answer.recommendation in ("measure_valued", "state_value_baseline")
    assert math.isfinite(answer.ratio_at_equal_seconds.value)  # which depends on the machine's seconds
    assert "sp.jacobians_by_differences(...)" in str(answer)
    assert "to know" not in str(answer)


def test_without_derivatives_a_budget_of_few_batches_is_said_to_be_too_small() -> None:
    simulator = sp.Simulator(NoDerivatives(horizon=5), sigma=0.3)
    sampled = probes.sample(simulator, sp.Stream(0, "", "advice"), range(4), 16)
    seconds = dict.fromkeys(sampled.moments, 1e-3)
    answer = answer_of(sampled, seconds, None, False, None, math.nan, math.nan, forecast.shipped())
    assert answer.needs.startswith("about 8 batches instead of 4")
    assert "times as large" not in str(answer)


@pytest.mark.parametrize(
    ("environment", "needs"),
    [(Constant, "all of them were the same"), (Even, "a policy that has been trained a little")],
)
def test_without_derivatives_and_without_a_signal_no_lead_is_claimed(environment: Any, needs: str) -> None:
    (answer,) = sp.advise(environment(horizon=5), noise_levels=[0.3], budget=8).answers
    assert needs in answer.needs
    assert "times as large" not in str(answer)


def test_a_return_without_a_graph_is_said_to_have_none_and_its_derivative_is_zero() -> None:
    advice = sp.advise(Counting(), noise_levels=[0.3], budget=5)
    assert "derivatives: no derivative reaches the return" in str(advice)
    assert "declare differentiable = False" in str(advice)
    assert advice.answers[0].batches >= 8
    assert advice.answers[0].verdict != "pathwise"
    assert "no derivative reaches" not in str(sp.advise(Arm(), noise_levels=[0.3], budget=5))
