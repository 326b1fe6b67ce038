"""What is wrong with a simulator as an advice meets it: wrong derivatives, impure steps, rewards that are not finite.

No number of samples makes up for any of these, so each comes with the place where it was met, if that is known.
"""

from __future__ import annotations

import math

import torch

from scorepath import probes
from scorepath.conformance.audit import Audit
from scorepath.conformance.backwards import breaking_operations
from scorepath.conformance.places import Fault
from scorepath.noise import Noise, Stream
from scorepath.reasons import percent
from scorepath.rollout import Simulator

IMPURE = "use the standard normals that step() is given, and declare how many in process_noise_dim"
LARGEST = 1e50
"""Of a return's deviation over the noise level: intervals are made of its sixth power, which float64 has to hold."""


def distrust(found: Audit) -> Fault | None:
    """Why derivatives must not be used, by the audit, or None."""
    if found.impure:
        return Fault(f"equal steps have different results, by {found.unrepeatable:.1e}: no step is pure", IMPURE)
    return found.fault


def bad_derivatives(sampled: probes.Sampled, stream: Stream) -> Fault | None:
    """Of samples whose derivative is not finite although the return is, or None."""
    moments = sampled.moments.get(probes.PATHWISE)
    if moments is None or not (batches := moments.nonfinite.nonzero().flatten().tolist()):
        return None
    simulator = sampled.simulator
    share = int(moments.nonfinite.sum()) / (sampled.batches * sampled.batch_size)
    noise = Noise(simulator.environment, stream, range(batches[0], batches[0] + 1), sampled.batch_size, torch.float64)

    def returns() -> tuple[torch.Tensor, list[torch.Tensor]]:
        trajectories = simulator.rollout(noise.rollout, differentiable=True)
        return trajectories.returns.sum(), list(trajectories.means)

    what = f"its derivative is nan or infinite on {percent(share)} of the trajectories, whose returns are finite"
    try:
        return Fault(what, breaking_operations(simulator.environment, returns))
    except RuntimeError:  # where torch has no graph of its own
        return Fault(what, "look for sqrt, norm, acos or 0/0 at 0")


def bad_rewards(sampled: probes.Sampled, stream: Stream) -> str:
    """Which rewards of the sampled trajectories are not finite, in words; "" of none."""
    rivals = [name for name in sampled.moments if name != probes.PATHWISE]
    name = "leave_one_out" if "leave_one_out" in rivals else next(iter(rivals), "")
    if not name or not (batches := sampled.moments[name].nonfinite.nonzero().flatten().tolist()):
        return ""
    return where_not_finite(sampled.simulator, stream, batches, sampled.batch_size, sampled.batches)


def where_not_finite(simulator: Simulator, stream: Stream, some: list[int], samples: int, batches: int) -> str:
    """The first reward that is not finite, and on how many trajectories of all batches there is one; "" of none.

    Args:
        simulator: what is simulated.
        stream: of the random numbers.
        some: the batches that may hold such rewards.
        samples: trajectories in a batch.
        batches: all of them.
    """
    bad, first = 0, ""
    for batch in some:
        noise = Noise(simulator.environment, stream, range(batch, batch + 1), samples, torch.float64)
        trajectories = simulator.rollout(noise.rollout)
        broken = ~trajectories.rewards[0].isfinite()  # (samples, steps)
        bad += int(broken.any(-1).sum())
        if broken.any() and not first:
            row = int(broken.any(-1).nonzero()[0])
            step = int(broken[row].nonzero()[0])
            action = ", ".join(f"{each:.3g}" for each in trajectories.actions[0, row, step].tolist()[:4])
            value = trajectories.rewards[0, row, step].item()
            first = f"that of step {step} is {value} in one of them, at action {action}"
    if not first:
        return ""
    return f"Rewards are not finite on {percent(bad / (samples * batches))} of the trajectories: {first}"


def too_large(returns: torch.Tensor, sigma: float) -> str:
    """Why errors of gradients of these returns cannot be squared in float64, or ""."""
    spread = float((returns - returns.mean()).abs().max())
    if not math.isfinite(spread) or spread / min(sigma, 1.0) < LARGEST:
        return ""
    return (
        f"returns differ by {spread:.1g} at sigma = {sigma:g}: powers of their gradients, which intervals need, are "
        "beyond what float64 holds; measure rewards in a larger unit"
    )
