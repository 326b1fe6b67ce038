"""What `advise` answers, and in what words: a verdict with its probability at each noise level, a reason, a way out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from scorepath.forecast import Evidence
from scorepath.inquiry import Interval
from scorepath.probes import PATHWISE
from scorepath.reasons import DERIVATIVE_FREE as DERIVATIVE_FREE  # a verdict's word
from scorepath.unmet import rarest

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Of the JSON."""
EQUIVALENT, INSUFFICIENT = "equivalent", "insufficient_evidence"
NO_PATHWISE = "no_pathwise"
WORDS = {
    PATHWISE: "pathwise",
    DERIVATIVE_FREE: "no derivatives",
    EQUIVALENT: "no difference that matters",
    INSUFFICIENT: "insufficient evidence",
    NO_PATHWISE: "no pathwise here",
}
STABLE = "a simulation that is stable under this noise"
"""What a comparison needs first."""
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
    | recommendation | an estimator by name; "" where rewards are not finite, so that there is none |
    | reason, why | in a word (jump, bias, roughness, growth, tails, precision, cost, noise, ...) and in a sentence |
    | change | what would change the answer |
    | needs | what it would take to know; "" if the answer is known |
    | useless | that no estimate of this batch size is of use, if the batches show it, or "" |
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
    useless: str = ""
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

    @classmethod
    def broken(cls, sigma: float, why: str) -> Answer:
        """Where rewards are not finite, so that no estimator is."""
        nothing = cls.nothing(sigma, STABLE)
        return replace(nothing, clear=True, recommendation="", reason="rewards", why=f"{why}. So is every estimate.")

    def __str__(self) -> str:
        if not self.recommendation:
            return (
                f"sigma = {self.sigma:g}: {WORDS[self.verdict]}. No estimator is of use.\n  why ({self.reason}): "
                f"{self.why}\n  to know, it takes {self.needs}"
            )
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
        lines += [f"  {self.useless}"] if self.useless else []
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
        head = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width, initial-scale=1"><title>Advice</title>'
        )
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


def _limits(ratio: Interval) -> str:
    """A ratio with its limits, or the single limit that it has."""
    if ratio.low == 0 and math.isfinite(ratio.high):
        return f"at most {ratio.high:.3g}"
    return f"at least {ratio.low:.3g}" if ratio.low > 0 and ratio.high == math.inf else str(ratio)
