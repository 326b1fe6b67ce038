"""Before training: are gradients through this simulator worth it? `advise` probes until the answer is clear.

In order: the audit of derivatives, the search for jumps in closed loop, paired batches of pathwise and its rivals with
a test of their mean difference, growth over time, roughness over scales. Batches come in chunks that double, so that a
simple case takes a second; nothing is begun that would not end within the budget, and an alarm stops what does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from scorepath import broken, probes, unmet, usefulness
from scorepath._level import Level
from scorepath._subject import cut, simulators_of
from scorepath.adjoint import backpropagate
from scorepath.advice import STABLE, Advice, Answer, Finding
from scorepath.answers import FEWEST, answer_of, noise_crossings
from scorepath.boundaries import measured_crossings
from scorepath.clock import Clock, TimeIsUp, alarm, timed
from scorepath.conformance.audit import audit, auditable
from scorepath.conformance.environments import first_calls
from scorepath.conformance.findings import describe
from scorepath.conformance.places import Fault
from scorepath.conformance.trajectories import CUT_OFF
from scorepath.environments._squashed import Squashed
from scorepath.environments.base import Environment, require_number, require_whole
from scorepath.expansion import expansion_rate
from scorepath.forecast import Forecast, shipped
from scorepath.inquiry import Interval
from scorepath.noise import Noise, Stream
from scorepath.policies import Policy
from scorepath.reasons import percent
from scorepath.rollout import Simulator
from scorepath.signals import has_signals, signal_moments

BUDGET = 60.0
"""Seconds."""
GRACE = 1.8
"""So many budgets after the start an alarm stops whatever still runs."""
MOST_BATCHES = 512
"""At one noise level; whoever wins by less than what so many show wins by little."""
SHARE = 0.5
"""Of the budget, what may go to audit and jump searches."""
FORWARD, BACKWARD = 8, 3
"""Trajectories, and trajectories with derivatives, that a sample of all contestants takes."""
LEAST_SAMPLES = 8
"""Trajectories in a batch, however long they take."""
SIGNAL_SAMPLES = 16
"""Trajectories in each of the batches that growth is measured by."""


def advise(
    subject: Simulator | Environment,
    *,
    policy: str | Policy | None = None,
    noise_levels: float | Sequence[float] | None = None,
    horizon: int | None = None,
    budget: float = BUDGET,
    batch_size: int = probes.BATCH_SIZE,
    seed: int = 0,
    model: Forecast | None = None,
    progress: Callable[[str], None] | None = None,
) -> Advice:
    """Say whether pathwise gradients are worth it here, at each noise level; or that the evidence is insufficient.

    Ctrl-C gives the answer so far.

    Args:
        subject: a simulator (then its policy, parameters and, by default, noise level are used), or an environment.
        policy: `open_loop`, `linear`, `mlp`, or one of your own that fits; by default the environment's.
        noise_levels: standard deviations of the action noise, above 0, or a single one; by default 0.03, 0.1 and 0.3.
        horizon: of the environment, where that is a knob.
        budget: seconds. Nothing runs longer than twice as long (in the main thread, where there are alarms).
        batch_size: trajectories that one estimate averages; the errors compared are those of such estimates.
        seed: of all random numbers.
        model: what makes probabilities of evidence; by default the one that is shipped.
        progress: is told what is being done, in a line.

    Raises:
        TypeError: where one of the numbers is none.
        ValueError: for a noise level, horizon, policy, budget, batch size or seed that cannot be.

    >>> import scorepath as sp
    >>> advice = sp.advise(sp.environments.Quadratic(dimension=1, offset=1.0), noise_levels=[0.1], budget=5)
    >>> advice.answers[0].verdict, advice.answers[0].recommendation
    ('pathwise', 'pathwise')
    """
    simulators = simulators_of(subject, policy, noise_levels, horizon)
    require_number("budget", budget)
    if not 0 < budget < math.inf:
        raise ValueError(f"budget must be a positive number of seconds, got {budget}")
    require_whole("batch_size", batch_size, 2)
    require_whole("seed", seed, 0)
    inquiry = _Inquiry(simulators, batch_size, seed, model or shipped(), Clock(budget), progress or (lambda line: None))
    stopped = ""
    with alarm(GRACE * budget):
        try:
            inquiry.run()
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            inquiry.findings.append(Finding("unstable", f"states are not finite, or too large ({error})"))
        except KeyboardInterrupt:
            stopped = "stopped by Ctrl-C"
        except TimeIsUp:
            stopped = f"stopped after {GRACE:g} times the budget"
    return inquiry.advice(stopped)


@dataclass
class _Inquiry:
    """The evidence as it comes in."""

    simulators: list[Simulator]
    batch_size: int
    seed: int
    model: Forecast
    clock: Clock
    progress: Callable[[str], None]
    levels: list[Level] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    trajectory: float = 0.0
    """Seconds of one trajectory among many."""
    sample: float = 0.0
    """Seconds of a sample of all contestants, as expected."""
    samples: int = 0
    """Trajectories of a batch that is sampled: fewer than an estimate's where these take long."""
    fault: Fault | None = None
    """Why derivatives must not be used, whatever their samples look like."""
    lost: list[Answer] = field(default_factory=list)
    """At noise levels under which a simulation breaks."""
    horizon_crossing: Interval | None = None
    horizon_sigma: float = math.nan

    @property
    def environment(self) -> Environment:
        return self.simulators[0].environment

    @property
    def stream(self) -> Stream:
        return Stream(self.seed, "", "advice")

    def run(self) -> None:
        """All stages, in order."""
        self._call_once()
        self.levels = [Level(each) for each in self.simulators]
        for name, reason in probes.kept_out(self.simulators[0]).items():
            self.findings.append(Finding("rivals", f"{name} does not exist here: {reason}"))
        self.progress(f"{type(self.environment).__name__}: how long does a trajectory take?")
        self._time()
        if not self.levels:
            return
        self._audit()
        self._search_jumps()
        self._sample()
        self._explain()
        self._shorten()

    def _call_once(self) -> None:
        """Hear of what the environment's code does wrong at its first calls.

        Raises:
            ValueError: which says where and what.
        """
        subject = self.environment.inner if isinstance(self.environment, Squashed) else self.environment
        try:
            found = list(first_calls(subject))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            raise
        except Exception as error:  # the user's code may raise anything
            raise ValueError(describe(error, type(subject))) from error
        if found:
            raise ValueError(found[0])

    def _affordable(self, trajectories: float, part: float = 1.0) -> bool:
        """Whether so many trajectories fit into a part of what is left."""
        return trajectories * self.trajectory <= part * self.clock.left

    def _time(self) -> None:
        """A trajectory alone, four, and then as many as a batch if that is likely to fit.

        A noise level under which a simulation breaks is left out: it says nothing of less noise.
        """
        for level in reversed(list(self.levels)):
            for count in (4, self.batch_size) if self.trajectory else (1, 4, self.batch_size):
                if count > 4 and self.trajectory * count > self.clock.left / 8:
                    break
                noise = Noise(self.environment, self.stream, range(1), count, torch.float64)
                returns, seconds = timed(partial(level.simulator.returns, noise.rollout))
                self.trajectory = seconds / count
                if text := broken.too_large(returns, level.simulator.sigma):
                    raise ValueError(text)
            if lost := 1 - returns.isfinite().double().mean().item():
                sigma, share = level.simulator.sigma, percent(lost)
                self.findings.append(Finding("unstable", f"{share} of the returns are not finite at sigma = {sigma:g}"))
                self.levels = [each for each in self.levels if each is not level]
                text = broken.where_not_finite(level.simulator, self.stream, [0], count, 1)
                self.lost.append(Answer.broken(sigma, text or f"{share} of the returns are not finite"))
        if not self.levels:
            return
        most = self.levels[-1].simulator
        self.sample = FORWARD * self.trajectory
        if probes.PATHWISE in probes.contestants(most):
            for count in (1, 4):  # the first call has costs of its own
                noise = Noise(self.environment, self.stream, range(1), count, torch.float64)
                _, seconds = timed(partial(backpropagate, most, noise.rollout))
            self.sample += BACKWARD * seconds / 4
            if not most.rollout(noise.rollout, differentiable=True).returns.requires_grad:
                self.findings.append(Finding("derivatives", CUT_OFF))
        self.samples = self.batch_size
        first = probes.BATCHES * len(self.levels) * self.sample
        while self.samples >= 2 * LEAST_SAMPLES and first * self.samples > SHARE * self.clock.left:
            self.samples //= 2

    def _audit(self) -> None:
        if not auditable(self.environment) or not self._affordable(32 * 30, SHARE / 2):
            return
        self.progress("audit: do its derivatives agree with differences?")
        with suppress(RuntimeError):  # what breaks here is heard of where batches are sampled
            found = audit(self.environment)
            self.findings.append(Finding("audit", found.verdict))
            self.fault = broken.distrust(found)
            if self.fault is not None and found.impure:
                self.findings.append(Finding("impure", self.fault.what))
            elif found.unrepeatable > 0:
                text = f"equal steps have results that differ by {found.unrepeatable:.1e}, as by rounding"
                self.findings.append(Finding("rounding", text))

    def _search_jumps(self) -> None:
        if probes.PATHWISE not in probes.contestants(self.simulators[0]):
            return  # nothing else is blind to them
        for level in reversed(self.levels):  # the widest noise finds most
            lines = probes.LINES
            while lines >= 4 and not self._affordable(lines * 200, SHARE / len(self.levels)):
                lines //= 2
            if lines < 4:
                continue
            self.progress(f"sigma = {level.simulator.sigma:g}: does the return jump?")
            level.jump = probes.search_jump(level.simulator, self.seed, lines)
            if has_signals(self.environment) and self._affordable(lines * unmet.PER_LINE, SHARE / len(self.levels)):
                generator, among = torch.Generator().manual_seed(self.seed), probes.BATCHES * self.samples
                level.steep = unmet.steep_gradients(level.simulator, lines // 2, among, generator)

    def _sample(self) -> None:
        """Paired batches, in chunks that double, where the answer is not clear yet."""
        names = ", ".join(probes.contestants(self.simulators[0]))
        while not all(level.answer is not None and level.answer.clear for level in self.levels):
            begun = False
            for level in self.levels:
                if level.answer is not None and level.answer.clear:
                    continue
                done = level.sampled.batches if level.sampled else 0
                each = level.chunk or self.sample * self.samples
                chunk = min(max(1, done), MOST_BATCHES - done, int(self.clock.left / max(each, 1e-9)))
                if chunk < 1:
                    continue
                begun = True
                self.progress(f"sigma = {level.simulator.sigma:g}: {chunk} more of {self.samples} by {names}")
                self._take(level, chunk)
                if level.sampled is not None and level.sampled.batches >= FEWEST:
                    self._answer(level)
            if not begun:
                break

    def _take(self, level: Level, count: int) -> None:
        """So many more batches."""
        start = 0 if level.sampled is None else level.sampled.batches
        batches, simulator = range(start, start + count), level.simulator
        moments, total = {}, 0.0
        for name in probes.contestants(simulator):
            moments[name], seconds = timed(
                partial(probes.sample_one, name, simulator, self.stream, batches, self.samples)
            )
            per_sample = seconds / (count * self.samples)
            level.seconds[name] = min(per_sample, level.seconds.get(name, math.inf))
            total += seconds
        missed = None
        if probes.can_branch(self.environment):
            missed, seconds = timed(lambda: probes.sample_missed(simulator, self.stream, batches, self.samples))
            total += seconds
        level.chunk = total / count
        new = probes.Sampled(simulator, self.samples, self.batch_size, moments, missed)
        level.sampled = new if level.sampled is None else level.sampled.and_more(new)

    def _answer(self, level: Level) -> None:
        assert level.sampled is not None
        if text := broken.bad_rewards(level.sampled, self.stream):
            level.answer = Answer.broken(level.simulator.sigma, text)
            return
        if level.fault is None:
            level.fault = self.fault or broken.bad_derivatives(level.sampled, self.stream)
        missed = level.missed_jump
        jumps = missed is not None or any(each.jump is not None and each.jump.share == 0 for each in self.levels)
        level.answer = answer_of(
            level.sampled, level.seconds, missed, jumps, level.moments, level.slope, level.single, self.model,
            level.steep, level.fault,
        )  # fmt: skip

    def _explain(self) -> None:
        """Growth, roughness and precision: why the winner wins."""
        for level in self.levels:
            if level.sampled is None or level.answer is None or level.answer.evidence is None:
                continue
            if has_signals(self.environment):
                self._explain_by_signals(level)
            more = usefulness.MORE if self._affordable(usefulness.MORE * FORWARD * self.samples, SHARE) else 0
            stream = Stream(self.seed, "", "advice/usefulness")
            level.answer = usefulness.judged(level.answer, level.sampled, stream, more)

    def _explain_by_signals(self, level: Level) -> None:
        assert level.sampled is not None
        if not self._affordable(9 * probes.BATCHES * SIGNAL_SAMPLES + 64 * probes.SCALES):
            return
        sigma = level.simulator.sigma
        self.progress(f"sigma = {sigma:g}: growth over time, roughness over scales")
        stream = Stream(self.seed, "", "advice/signals")
        noise = Noise(self.environment, stream, range(probes.BATCHES), SIGNAL_SAMPLES, torch.float64)
        rate, low, high = expansion_rate(level.simulator, noise.rollout)
        moments = signal_moments(level.simulator, noise)
        low = min(low, moments.growth_rate_low)  # neither sums of rewards nor what no reward sees
        level.moments = replace(moments, growth_rate=rate, growth_rate_low=low, growth_rate_high=high)
        level.slope = probes.variogram_slope(level.simulator, stream)
        level.single = probes.single_precision_error(level.simulator, level.sampled, self.stream)
        self._answer(level)

    def _shorten(self) -> None:
        """The horizon at which the winner changes, at the middle noise level."""
        level = self.levels[len(self.levels) // 2]
        steps = probes.horizons(self.environment)
        if not steps or level.answer is None or level.answer.evidence is None or level.sampled is None:
            return
        if level.chunk * probes.BATCHES * 2 > self.clock.left or not level.answer.rival:
            return
        self.progress(f"sigma = {level.simulator.sigma:g}: shorter horizons")
        numbers = []
        for horizon in steps:
            found = probes.sample(cut(level.simulator, horizon), self.stream, range(probes.BATCHES), self.batch_size)
            numbers.append(probes.errors_of(found, level.answer.rival))
        if not np.isfinite(numbers).all():
            return
        crossings = measured_crossings(np.array(steps, dtype=float), np.stack(numbers))
        ours, theirs = numbers[-1].mean(-1)
        evidence = level.answer.evidence
        # at the whole horizon these few batches have to see what the answer says
        if crossings and evidence is not None and (theirs > ours) == (evidence.lead > 0):
            self.horizon_sigma = level.simulator.sigma
            self.horizon_crossing = Interval(*(float(each) for each in crossings[0][:3]))

    def advice(self, stopped: str) -> Advice:
        """What is known so far."""
        known = {level.simulator.sigma: level for level in self.levels}
        lost = {answer.sigma: answer for answer in self.lost}
        probed = [
            (each.sampled, each.answer) for each in self.levels if each.sampled is not None and each.answer is not None
        ]
        unstable = any(finding.kind == "unstable" for finding in self.findings)
        answers = []
        for simulator in self.simulators:
            level = known.get(simulator.sigma)
            if level and level.answer is None and level.sampled is not None and level.sampled.batches >= FEWEST:
                with suppress(ValueError):
                    self._answer(level)
            needs = STABLE if unstable else self._needed()
            answer = (level and level.answer) or lost.get(simulator.sigma)
            answers.append(answer or Answer.nothing(simulator.sigma, needs))
        environment = self.environment
        return Advice(
            environment=type(environment).__name__,
            policy=type(self.simulators[0].policy).__name__,
            parameters=self.simulators[0].policy.parameter_count,
            horizon=environment.horizon,
            batch_size=self.batch_size,
            budget=self.clock.budget,
            seconds=self.clock.spent,
            stopped=stopped,
            answers=tuple(answers),
            noise_crossings=tuple(noise_crossings(probed)),
            horizon_crossing=self.horizon_crossing,
            horizon_sigma=self.horizon_sigma,
            findings=tuple(self.findings),
            model=self.model.sha256,
            contact="MuJoCo" in {kind.__name__ for kind in type(environment).__mro__},
        )

    def _needed(self) -> str:
        """What a first probe of all noise levels takes, as far as can be told."""
        if not self.trajectory:
            return f"far more than {self.clock.spent:.2g} seconds: not one trajectory ended in that time"
        sample = self.sample or (FORWARD + BACKWARD) * self.trajectory
        seconds = probes.BATCHES * LEAST_SAMPLES * sample * len(self.simulators) / SHARE
        return f"a budget of at least {float(f'{max(1.0, seconds):.2g}'):g} seconds"
