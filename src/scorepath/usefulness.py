"""Is an estimate of any use? Not if its error is the gradient's own square or more: so is that of a constant zero."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from scipy.special import stdtrit

from scorepath import probes
from scorepath.advice import INSUFFICIENT, Answer
from scorepath.intervals import squared_norm_limits
from scorepath.noise import Stream
from scorepath.statistics import squared_bias

LEVEL = 0.975
"""Of each of the one-sided limits, three in all."""
MORE = 24
"""Batches of one estimator: the few that decide a comparison seldom tell a small gradient from none."""


def judged(answer: Answer, sampled: probes.Sampled, stream: Stream, more: int = MORE) -> Answer:
    """The answer, and whether neither of its two estimators is usable; the arguments are those of `neither_usable`."""
    found = answer.evidence
    if found is None or found.reason or answer.verdict == INSUFFICIENT or sampled.batches < probes.BATCHES:
        return answer
    names = probes.PATHWISE, answer.rival
    return replace(answer, useless=neither_usable(sampled, names, names if found.agrees else names[1:], stream, more))


def neither_usable(
    sampled: probes.Sampled, names: tuple[str, str], trusted: tuple[str, ...], stream: Stream, more: int = MORE
) -> str:
    """That the errors of both estimators are surely the gradient's square or more, in words; else "".

    Args:
        sampled: paired batches.
        names: of the two.
        trusted: those of them without a bias that was seen; the more precise one tells the gradient's square.
        stream: of the random numbers of further batches.
        more: so many of them, where the gradient's square seems to be the smaller, and is not surely so.
    """
    quantile, root = float(stdtrit(sampled.batches - 1, LEVEL)), math.sqrt(sampled.batches)
    errors = {name: probes.components_of(sampled, name).variances / sampled.budget for name in names}
    least = min(float(each.mean() - quantile * each.std(ddof=1) / root) for each in errors.values())
    finite = [name for name in trusted if sampled.moments[name].means.isfinite().all()]
    if not finite or not 0 < least < math.inf:
        return ""
    precise = min(finite, key=lambda name: float(errors[name].mean()))
    means = sampled.moments[precise].means.double()
    if more and squared_bias(means).estimate < least <= _most(means):
        new = probes.sample_one(precise, sampled.simulator, stream, range(more), sampled.batch_size)
        means = torch.cat([means, new.means.double()])
    if not (most := _most(means)) <= least:
        return ""
    times = f"{float(f'{least / most:.2g}'):,g}" if most > 0 else "any number of"
    return (
        f"neither is usable at a batch of {sampled.budget}: both errors are at least {times} times the gradient's own "
        "square, and an estimate that is always zero errs no more"
    )


def _most(means: torch.Tensor) -> float:
    """The upper limit of the squared length of their expectation."""
    found = squared_bias(means)
    numbers = found.pseudo_values.numpy(), found.spread, found.along, found.roundness
    return float(squared_norm_limits(*numbers)[1])
