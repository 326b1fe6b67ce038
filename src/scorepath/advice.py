"""What `advise` answers, and in what words: a verdict with its probability at every noise level, a reason, a way out.

"Pathwise" is said only if it would hold as well with the largest bias that could have gone unnoticed. Everything else
that is not clear is insufficient evidence, with what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scorepath import probes
from scorepath.boundaries import measured_crossings
from scorepath.estimators.pathwise import Pathwise
from scorepath.forecast import Evidence, Forecast, features_of
from scorepath.inquiry import ERROR_MARGIN, Interval
from scorepath.probes import PATHWISE, Sampled
from scorepath.reasons import DERIVATIVE_FREE as DERIVATIVE_FREE  # a verdict's word
from scorepath.reasons import changes, why_of
from scorepath.references.jumps import Jump
from scorepath.signals import SignalMoments
from scorepath.unmet import rarest, unmet_share, with_unmet

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

FORMAT = 1
"""Of the JSON."""
EQUIVALENT, INSUFFICIENT = "equivalent", "insufficient_evidence"
NO_PATHWISE = "no_pathwise"
WORDS = {
    PATHWISE: "pathwise",
    DERIVATIVE_FREE: "no derivatives",
    EQUIVALENT: "no difference that matters",
    INSUFFICIENT: "insufficient evidence",
    NO_PATHWISE: "pathwise does not exist here",
}
SETTABLE = (
    "derivatives: if the simulator's state can be set, `step_jacobians` may return sp.jacobians_by_differences(...)"
)
DIFFERENT_RETURNS = "returns that differ (a longer horizon, more noise, another policy): all of them were the same"
ANOTHER_POLICY = "a policy that has been trained a little: at this one its samples are all the same but for rounding"
BEYOND_MEASURE = 9.0
"""log10 of a ratio of errors that only rounding makes."""
FEWEST = 3
"""Batches that have an interval."""
NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Finding:
    """Something to know of the simulator as a whole: its kind, and a sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What is advised at one noise level.

    | field | meaning |
    |---|---|
    | sigma | the noise level |
    | verdict | pathwise, derivative_free, equivalent, insufficient_evidence or no_pathwise |
    | clear | whether more batches would be a waste |
    | probability | that pathwise has the smaller error at equal samples |
    | probability_at_equal_seconds | the same per second, as timed in this run |
    | rival, rival_at_equal_seconds | the best derivative-free estimator |
    | ratio, ratio_at_equal_seconds | its mean squared error over pathwise's, with 95 % limits |
    | recommendation | an estimator by name |
    | reason, why | in a word (jump, bias, roughness, growth, tails, precision, cost, noise, ...) and in a sentence |
    | change | what would change the answer |
    | needs | what it would take to know; "" if the answer is known |
    | batches, trajectories, evidence | what it rests on |
    """

    sigma: float
    verdict: str
    clear: bool
    probability: float
    probability_at_equal_seconds: float
    rival: str
    rival_at_equal_seconds: str
    ratio: Interval
    ratio_at_equal_seconds: Interval
    recommendation: str
    reason: str
    why: str
    change: tuple[str, ...] = ()
    needs: str = ""
    batches: int = 0
    trajectories: int = 0
    evidence: Evidence | None = None

    @classmethod
    def nothing(cls, sigma: float, needs: str) -> Answer:
        """Where there was no probe."""
        return cls(
            sigma, INSUFFICIENT, False, 0.5, 0.5, "", "", NOTHING, NOTHING, "leave_one_out", "nothing",
            "There was no probe.", needs=needs,
        )  # fmt: skip

    def __str__(self) -> str:
        if self.verdict == NO_PATHWISE:
            beside = f" ({self.rival}'s error is {self.ratio_at_equal_seconds} times as large at equal seconds)"
            known = math.isfinite(self.ratio_at_equal_seconds.value) and not self.needs
            return "\n".join([
                f"sigma = {self.sigma:g}: {self.why} Use {self.recommendation}{beside if known else ''}.",
                *(f"  what would change it: {text}" for text in self.change),
                *([f"  to know how much better it is, it takes {self.needs}"] if self.needs else []),
            ])  # fmt: skip
        why = " meanwhile, for it is unbiased whatever the return is" if self.verdict == INSUFFICIENT else ""
        turned = (self.verdict, self.recommendation == PATHWISE) in ((PATHWISE, False), (DERIVATIVE_FREE, True))
        samples = " at equal samples, but not at equal seconds" if turned else ""
        lines = [
            f"sigma = {self.sigma:g}: {WORDS[self.verdict]}{samples}. Use {self.recommendation}{why}.",
            f"  pathwise has the smaller error with probability {self.probability:.2f} at equal samples"
            + (f", {self.probability_at_equal_seconds:.2f} at equal seconds" if self.rival_at_equal_seconds else ""),
        ]
        if self.rival and math.isfinite(self.ratio.value):
            lines.append(
                f"  error of {self.rival} / error of pathwise: {_limits(self.ratio)}"
                + (f"; at equal seconds, of {self.rival_at_equal_seconds}: {_limits(self.ratio_at_equal_seconds)}"
                   if math.isfinite(self.ratio_at_equal_seconds.value) else "")
                + f" (95 % intervals, {self.batches} batches of {self.trajectories // max(1, self.batches)})"
            )  # fmt: skip
        lines.append(f"  why ({self.reason}): {self.why}")
        lines += [f"  what would change it: {text}" for text in self.change]
        if self.needs:
            lines.append(f"  to know, it takes {self.needs}")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Advice:
    """The answers at all noise levels, and what they have in common; prints as text.

    | field | meaning |
    |---|---|
    | environment, policy, parameters, horizon | what was probed |
    | batch_size | trajectories that one estimate averages |
    | budget, seconds | asked for, and spent |
    | stopped | why it ended early, or "" |
    | answers | one per noise level |
    | noise_crossings | noise levels at which the winner, of pathwise and the best rival, changes, with 95 % limits |
    | horizon_crossing, horizon_sigma | likewise the horizon, at the middle noise level, or None; and that level |
    | findings | of the simulator as a whole |
    | model | checksum of the model behind the probabilities |
    | contact | whether it is MuJoCo, whose contacts have a setting for their jump |
    """

    environment: str
    policy: str
    parameters: int
    horizon: int
    batch_size: int
    budget: float
    seconds: float
    stopped: str
    answers: tuple[Answer, ...]
    noise_crossings: tuple[Interval, ...]
    horizon_crossing: Interval | None
    findings: tuple[Finding, ...]
    model: str
    contact: bool = False
    horizon_sigma: float = math.nan

    def __str__(self) -> str:
        return "\n".join(
            [self.head, *(finding_line(each) for each in self.findings), *map(str, self.answers), *self.tail]
        )

    __repr__ = __str__

    @property
    def head(self) -> str:
        """What was probed."""
        early = f" ({self.stopped}: the answer so far)" if self.stopped else ""
        return (
            f"{self.environment}, {self.horizon} {'step' if self.horizon == 1 else 'steps'}, {self.policy} of "
            f"{self.parameters} parameters, batches of {self.batch_size}, {self.seconds:.1f} s{early}"
        )

    @property
    def tail(self) -> list[str]:
        """What holds of all noise levels."""
        lines = [f"the winner changes at sigma = {each}" for each in self.noise_crossings]
        if self.horizon_crossing:
            lines.append(
                f"the winner changes at a horizon of {self.horizon_crossing}, at sigma = {self.horizon_sigma:g}"
            )
        if self.contact and any(each.reason == "jump" for each in self.answers):
            lines.append("MuJoCo's contacts jump unless solimp_d0=0 (more variance), and so do ends, unless ends=false")
        if fewest := min((each.trajectories for each in self.answers if math.isfinite(each.ratio.value)), default=0):
            rare = f"fewer than one in {rarest(fewest):,} of them"
            lines.append(f"intervals hold what trajectories met: something that {rare} meet may be missing")
        lines.append("this is about the error of gradients; how that turns into learning, docs/advisor.md says")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: no number that is not finite."""
        found: dict[str, Any] = _plain({"format": FORMAT, **asdict(self)})
        return found

    def to_frame(self) -> pd.DataFrame:
        """A row per noise level."""
        import pandas as pd

        rows = []
        for each in self.answers:
            row = {k: v for k, v in asdict(each).items() if k not in ("evidence", "change")}
            for name in ("ratio", "ratio_at_equal_seconds"):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), row.pop(name), strict=True))
            rows.append(row)
        return pd.DataFrame(rows)

    def to_html(self) -> str:
        """A page that needs nothing else."""
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Advice</title>'
        return f"{head}\n{self._repr_html_()}\n</html>\n"

    def _repr_html_(self) -> str:
        from scorepath._notebook import page

        return page(self.head, [(WORDS[each.verdict], str(each)) for each in self.answers], [
            *map(finding_line, self.findings), *self.tail,
        ])  # fmt: skip


def finding_line(finding: Finding) -> str:
    """A finding as a line."""
    return f"{finding.kind}: {finding.text}"


def _plain(value: Any) -> Any:
    """Tuples as lists, intervals by their parts, and None for what is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Interval):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --- from evidence to an answer ---------------------------------------------------------------------------------------


def answer_of(
    sampled: Sampled, seconds: Mapping[str, float], jump: Jump | None, jumps: bool, moments: SignalMoments | None,
    slope: float, single: float, model: Forecast, steep: Tensor | None = None,
) -> Answer:  # fmt: skip
    """The answer at one noise level.

    Args:
        sampled: paired batches.
        seconds: of one sample, by contestant.
        jump: what was found at this noise level, and samples do not meet.
        jumps: whether a jump was found at any.
        moments: of the action signals, if they were measured.
        slope: of the variogram; nan if it was not measured.
        single: what float32 does to pathwise, by its own error; nan if not measured.
        model: what makes probabilities of evidence.
        steep: pathwise gradients at the steepest places found, (places, P).
    """
    sigma = sampled.simulator.sigma
    rival, cheapest = probes.best_rival(sampled), probes.best_rival(sampled, seconds)
    if PATHWISE not in sampled.moments:
        return _without_pathwise(sampled, seconds)
    unmet = 0.0 if steep is None else unmet_share(sampled.moments[PATHWISE], steep)
    found, per_second = (
        with_unmet(probes.compared(sampled, name, (1.0, price)), unmet, jump, sampled.budget)
        for name, price in ((rival, 1.0), (cheapest, seconds[cheapest] / seconds[PATHWISE]))
    )
    capped = jumps or not sampled.simulator.environment.continuous
    probability, timed = (probability_of(each, capped, model) for each in (found, per_second))
    answer = Answer(
        sigma, INSUFFICIENT, False, probability, timed, rival, cheapest, _ratio(found), _ratio(per_second),
        "leave_one_out", "", "", batches=sampled.batches, trajectories=sampled.batches * sampled.batch_size,
        evidence=found,
    )  # fmt: skip
    enough = sampled.batches >= probes.BATCHES
    verdict = _verdict(found, probability, jumps, model) if enough else INSUFFICIENT
    at_seconds = _verdict(per_second, timed, jumps, model)
    chosen = {PATHWISE: PATHWISE, DERIVATIVE_FREE: cheapest, EQUIVALENT: PATHWISE if timed > 0.5 else cheapest}
    decided = verdict if at_seconds == INSUFFICIENT or verdict == INSUFFICIENT else at_seconds
    # no number of batches takes a jump away; enough of them meet a ramp
    lasting = jumps and (jump is None or jump.share == 0)
    clear = verdict != INSUFFICIENT or (enough and lasting and found.lead_low > 0)
    answer = replace(answer, verdict=verdict, clear=clear, recommendation=chosen.get(decided, "leave_one_out"))
    reason, why = why_of(rival, found, jump, moments, slope, single, per_second)
    likely = probability >= model.threshold
    needs = "" if verdict != INSUFFICIENT else probes.needs(found, sampled, seconds, jumps, likely)
    answer = replace(answer, reason=reason, why=why, needs=needs)
    weaker = (
        found.lead < 0 and "leave_one_out" in sampled.moments and probes.compared(sampled, "leave_one_out").lead > 0
    )
    meanwhile = changes(verdict, reason, found, jump, moments, sampled.budget, weaker)
    if verdict == PATHWISE and timed < 0.5:
        meanwhile.append(f"counting seconds: {cheapest} is the better one then")
    return replace(answer, change=tuple(meanwhile))


def probability_of(found: Evidence, capped: bool, model: Forecast) -> float:
    """That pathwise has the smaller error; even where one limit is not known and the other does not decide."""
    open_end = math.inf in (-found.lead_low, found.lead_high) and found.lead_low <= 0 <= found.lead_high
    return model.probability((0.0, 0.0) if open_end else features_of(found), capped)


def _verdict(found: Evidence, probability: float, jumps: bool, model: Forecast) -> str:
    """What is said of a comparison.

    Never pathwise where a bias that could have gone unnoticed would turn it round, or the return is known to jump: more
    of it may be missed where training leads. Nor where a rival's second moment cannot be measured: what is rare in the
    returns is rare in their derivatives, so pathwise's own, which looks small, may not have shown it yet.
    """
    margin = math.log10(ERROR_MARGIN)
    if -margin <= min(found.lead_low, found.cautious) and found.lead_high <= margin and not found.reason:
        return EQUIVALENT
    if probability >= model.threshold and found.cautious_low > 0 and not jumps and not found.reason:
        return PATHWISE
    return DERIVATIVE_FREE if probability <= 1 - model.threshold else INSUFFICIENT


def _ratio(evidence: Evidence) -> Interval:
    return Interval(*(_power(each) for each in (evidence.lead, evidence.lead_low, evidence.lead_high)))


def _limits(ratio: Interval) -> str:
    """A ratio with its limits, or the single limit that it has."""
    if ratio.low == 0 and math.isfinite(ratio.high):
        return f"at most {ratio.high:.3g}"
    return f"at least {ratio.low:.3g}" if ratio.low > 0 and ratio.high == math.inf else str(ratio)


def _power(exponent: float) -> float:
    return 10**exponent if exponent < 300 else math.inf


def _without_pathwise(sampled: Sampled, seconds: Mapping[str, float]) -> Answer:
    """The two best of those that need no derivatives: the ratio is the second's error over the first's."""
    environment, sigma = sampled.simulator.environment, sampled.simulator.sigma
    why = Pathwise().not_applicable(environment, sigma) or "there is no derivative"
    best = probes.best_rival(sampled, seconds)
    others = replace(sampled, moments={name: each for name, each in sampled.moments.items() if name != best})
    answer = Answer(
        sigma, NO_PATHWISE, sampled.batches >= probes.BATCHES, 0.0, 0.0, "", best, NOTHING, NOTHING, best,
        "derivatives", f"Pathwise does not exist: {why}.", batches=sampled.batches,
        trajectories=sampled.batches * sampled.batch_size,
    )  # fmt: skip
    if not environment.differentiable and not environment.discrete_actions:
        answer = replace(answer, change=(SETTABLE,))
    if not any(moments.trace_variances.any() or moments.means.any() for moments in sampled.moments.values()):
        return replace(answer, recommendation="leave_one_out", needs=DIFFERENT_RETURNS)
    if not (second := probes.best_rival(others, seconds)):
        return answer
    prices = seconds[best], seconds[second]
    found = probes.beside(sampled, (best, second), (1.0, prices[1] / prices[0]))
    answer = replace(answer, rival=second, ratio_at_equal_seconds=Interval(*(_power(each) for each in found)))
    if found[0] > BEYOND_MEASURE:
        return replace(answer, needs=ANOTHER_POLICY)
    if sampled.batches < probes.BATCHES:
        return replace(answer, needs=probes.more(sampled, probes.BATCHES, seconds))
    return answer


def noise_crossings(probed: Sequence[tuple[Sampled, Answer]]) -> list[Interval]:
    """The noise levels at which the winner changes, between those probed, in rising order."""
    known = [each for each in probed if each[1].rival and each[1].evidence]
    if len(known) < 2 or (least := min(sampled.batches for sampled, _ in known)) < FEWEST:
        return []
    axis = np.array([sampled.simulator.sigma for sampled, _ in known])
    numbers = np.stack([probes.errors_of(sampled, answer.rival)[:, :least] for sampled, answer in known])
    if not np.isfinite(numbers).all():
        return []
    found = [Interval(*map(float, each[:3])) for each in measured_crossings(axis, numbers)]
    # the answers rest on more than these batches: where they see no change there is none
    ahead = np.array([answer.evidence.lead for _, answer in known if answer.evidence is not None])
    turns = (ahead[1:] > 0) != (ahead[:-1] > 0)
    return [each for each in found if turns[np.searchsorted(axis, each.value) - 1]]
