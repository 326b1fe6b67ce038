"""Why the winner wins, in a word and a sentence, and what would turn the answer round."""

from __future__ import annotations

import math

from scorepath.forecast import Evidence
from scorepath.probes import PATHWISE
from scorepath.references.jumps import Jump
from scorepath.signals import SignalMoments

DERIVATIVE_FREE = "derivative_free"
"""The verdict."""
GROWN = 1.0
"""Decades over the horizon from which on growth is named."""
NEAR = 1.0
"""Error ratios within so many decades: a mixture of both may be better than either."""
SMALLEST_BATCH = 2.0
"""Trajectories."""


def why_of(
    rival: str, found: Evidence, jump: Jump | None, moments: SignalMoments | None, slope: float, single: float,
    per_second: Evidence,
) -> tuple[str, str]:  # fmt: skip
    """What decides, in a word and a sentence; the arguments are those of `scorepath.answers.answer_of`."""
    missed = f"Its squared bias is {share_of(found.bias_share)} {rival}'s whole error."
    if jump is not None:
        if jump.share > 0:
            steep = f"The return changes by {jump.size:.3g} at step {jump.step} within {jump.distance:.1g}"
            unmet = "too short a ramp for these samples to show its derivative"
            return "jump", f"{steep}, {unmet}: pathwise's error has no upper limit here."
        text = f"The return jumps by {jump.size:.3g} at step {jump.step}, which pathwise does not see."
        return "jump", f"{text} {missed}" if found.bias_share > 0.1 else text
    if not found.agrees and found.bias_share > 0.1:
        cause = "a jump that no line met, or a derivative that is wrong, as where something is detached"
        return "bias", f"Pathwise misses a part of the gradient, as {found.witness} show: {cause}. {missed}"
    if "finite" in found.reason:
        return "instability", "Some returns or derivatives are not finite: the simulator makes nan or overflows."
    if found.reason:
        word = "signal" if "signal" in found.reason or found.blank else "tails"
        return word, f"A second moment cannot be measured ({found.reason})."
    if single >= 1 and found.lead > 0:
        return "precision", f"In float32 rounding makes up {percent(single)} of pathwise's error: use float64."
    if (per_second.lead > 0) != (found.lead > 0):
        return "cost", "At equal samples one is better, at equal seconds the other: what a sample costs decides."
    if found.lead < 0:
        if moments is not None and _grown(moments):
            factor = f"{math.exp(moments.growth_rate / 2):.3g}"
            return "growth", f"The dynamics expand: an action's effect grows by a factor {factor} per step."
        text = "The return is rough at the scale of the noise: its derivatives vary more than it does itself"
        numbers = []
        if moments is not None and moments.return_variance > 0:
            numbers.append(f"mean degree {moments.slope / moments.return_variance:.3g}, where a linear return has 1")
        if math.isfinite(slope):
            numbers.append(f"variogram slope {slope:.2g}, where a smooth one has 2")
        return "roughness", f"{text} ({'; '.join(numbers)})." if numbers else f"{text}."
    return "noise", "Derivatives hold at the scale of the noise, and a rival pays for the noise in every coordinate."


def _grown(moments: SignalMoments) -> bool:
    return moments.growth_rate_low * (moments.steps - 1) / math.log(10) >= GROWN


def share_of(share: float) -> str:
    """A share as it stands before what it is of."""
    return f"{percent(share)} of" if share < 10 else f"{float(f'{share:.2g}'):,.0f} times"


def percent(share: float) -> str:
    """Of two digits, without powers of ten."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def changes(
    verdict: str, reason: str, found: Evidence, jump: Jump | None, moments: SignalMoments | None, samples: int,
    weaker: bool,
) -> list[str]:  # fmt: skip
    """What would turn the answer round, of what was measured, for estimates of so many samples.

    `weaker` says that pathwise has a smaller error than leave_one_out, if not than the best rival.
    """
    texts = []
    if moments is not None and reason == "growth" and verdict != PATHWISE:
        steps = max(1, round(math.log(10) * GROWN / moments.growth_rate))
        texts.append(f"a shorter window: truncated_pathwise with window {steps} cuts the growth off, at a bias")
    ramp = jump is not None and jump.share > 0  # which is no bias, and an error without an upper limit
    if found.bias_share > 0 and not found.agrees and found.variance_lead > 0 and not ramp:
        flip = (1 - 10**-found.variance_lead) / found.bias_share
        if flip * samples >= SMALLEST_BATCH:
            texts.append(f"a batch {'below' if flip < 1 else 'above'} {float(f'{flip:.2g}'):g} times this size")
    if found.agrees and not found.reason and abs(found.lead) < NEAR and not ramp:
        texts.append("a mixture: inverse_variance weighs both by their variances")
    if weaker and verdict == DERIVATIVE_FREE:
        texts.append("leave_one_out as the only rival: pathwise has a smaller error than that one")
    return texts
