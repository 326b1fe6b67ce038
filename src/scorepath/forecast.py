"""The probability that pathwise has the smaller error, from a probe: a logistic model, and when to abstain.

Fitted by penalised maximum likelihood to places whose winner is known. Families of environments are what is new in a
new simulator, so they are the units everywhere: each weighs the same, probabilities are judged where the family was
left out, and the threshold beyond which an answer is given controls the expected share of wrong answers in a new family
(conformal risk control, Angelopoulos et al. 2022).
"""

from __future__ import annotations

import hashlib
import json
import math
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

VERSION = 1
"""Of the features: a model of another version is not used."""
FEATURES = ("lead", "cautious")
"""How surely the error ratio is above 1: with the bias as estimated, and with the largest one that could have gone
unnoticed."""
PENALTY = 0.01
"""Of the squared weights, in units of a family's log likelihood."""
LEAST = 0.01
"""No probability is nearer to 0 or 1."""
LEAST_THRESHOLD = 0.8
"""What is less probable is no answer, whatever the risk allows."""
RISK = 0.1
"""The expected share of a new family's places that may be answered and wrong."""
CAP = 0.89
"""The highest probability where the return is known or declared to jump: training leads to places that no probe saw."""
MODEL_ERROR = 0.1
"""What is added to an interval's half-width, in log10 of the error ratio: a margin that repeats a probe in vain."""
FAR = 3.0
"""Decades."""
MOST = 6.0
"""Beyond it a feature says no more."""


def surety(low: float, high: float) -> float:
    """How many half-widths an interval of log10 ratios lies from 0, between -`MOST` and `MOST`; 0 of no interval.

    Ends are `FAR` away at most: so is one that is not known.
    """
    if math.isnan(low) or math.isnan(high):
        return 0.0
    low, high = (float(np.clip(end, -FAR, FAR)) for end in (low, high))
    return float(np.clip((low + high) / (high - low + 2 * MODEL_ERROR), -MOST, MOST))


@dataclass(frozen=True)
class Evidence:
    """What a comparison with the best rival rests on; errors are mean squared, of one batch, in log10.

    | field | meaning |
    |---|---|
    | rival | the derivative-free estimator with the smallest error |
    | lead, lead_low, lead_high | log10 of the rival's error over pathwise's, bias as estimated, with 95 % limits |
    | cautious, cautious_low | the same if pathwise had the largest bias that could have gone unnoticed |
    | variance_lead | log10 of the ratio of variances alone |
    | bias_share | squared bias of pathwise as estimated, by the rival's error |
    | room | the square of the largest bias that could have gone unnoticed, by the rival's error |
    | agrees | whether no bias was noticed, at a false-alarm rate of 1e-4 |
    | witness | what saw it |
    | blank | every sample of pathwise is exactly zero |
    | tail, rival_tail | what tails may hold unseen, as shares of the variances |
    | trust | Suh's alpha: the weight that alpha-order batches give to pathwise |
    | raised | share of batches in which GI-PPO's test of bias lets its alpha, the weight of derivatives, rise |
    | reason | why there is no comparison, if there is none |
    """

    rival: str
    lead: float
    lead_low: float
    lead_high: float
    cautious: float
    cautious_low: float
    variance_lead: float
    bias_share: float
    room: float
    agrees: bool
    witness: str
    blank: bool
    tail: float
    rival_tail: float
    trust: float
    raised: float = math.nan
    reason: str = ""


def features_of(evidence: Evidence) -> tuple[float, float]:
    """What a forecast is made from, as `FEATURES` names it."""
    worst, best = evidence.cautious_low, evidence.lead_high
    return surety(evidence.lead_low, best), surety(worst, best)


@dataclass(frozen=True)
class Forecast:
    """A fitted model.

    | field | meaning |
    |---|---|
    | weights | of the features, in their order |
    | intercept | |
    | threshold | an answer is given where its probability is at least so large |
    | risk | the expected share of a new family's places that are answered and wrong, at most |
    | places, families | what it was fitted to |
    """

    weights: tuple[float, ...]
    intercept: float
    threshold: float
    risk: float
    places: int
    families: tuple[str, ...]

    def probability(self, features: Sequence[float], jumps: bool = False) -> float:
        """That pathwise has the smaller error; `jumps`: here or within the reach of more noise."""
        score = self.intercept + float(np.dot(self.weights, features))
        found = float(np.clip(_sigmoid(np.array(score)), LEAST, 1 - LEAST))
        return min(found, CAP) if jumps else found

    def to_json(self) -> str:
        """As it is shipped, with a checksum of everything else in it."""
        content = {"version": VERSION, "features": list(FEATURES), **asdict(self)}
        return json.dumps({**content, "sha256": _checksum(content)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Forecast:
        """What `to_json` wrote.

        Raises:
            ValueError: if it is of another version, or was changed by hand.
        """
        content: dict[str, Any] = json.loads(text)
        checksum = content.pop("sha256", "")
        if content.get("version") != VERSION or content.get("features") != list(FEATURES):
            raise ValueError(f"this model is of version {content.get('version')}, but version {VERSION} is needed")
        if checksum != _checksum(content):
            raise ValueError("this model's checksum is not that of its content: it was changed after it was fitted")
        names = cls.__dataclass_fields__
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items() if k in names}
        return cls(**given)

    @property
    def sha256(self) -> str:
        """Its checksum."""
        return str(json.loads(self.to_json())["sha256"])


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def shipped() -> Forecast:
    """The frozen model of this package."""
    text = pkgutil.get_data("scorepath", "advisor_model.json")
    assert text is not None
    return Forecast.from_json(text.decode())


# --- fitting ----------------------------------------------------------------------------------------------------------


def fit(features: np.ndarray, wins: np.ndarray, families: np.ndarray) -> tuple[tuple[float, ...], float]:
    """Weights and intercept.

    Weights are not negative, for the surer the better.

    Args:
        features: (places, features).
        wins: whether pathwise has the smaller error, (places,).
        families: of each place's environment; each counts the same.
    """
    from scipy.optimize import minimize

    names, own = np.unique(families, return_inverse=True)
    share = 1 / (np.bincount(own)[own] * len(names))
    signs = np.where(wins, 1.0, -1.0)
    columns = features.shape[1]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = signs * (theta[0] + features @ theta[1:])
        pull = -signs * share * _sigmoid(-margin)
        value = float(share @ np.logaddexp(0, -margin)) + PENALTY * float(theta[1:] @ theta[1:])
        slope = np.concatenate([[pull.sum()], pull @ features + 2 * PENALTY * theta[1:]])
        return value, slope

    bounds = [(None, None), *[(0.0, None)] * columns]
    found = minimize(loss, np.zeros(columns + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return tuple(float(each) for each in found.x[1:]), float(found.x[0])


def probabilities(weights: Sequence[float], intercept: float, features: np.ndarray) -> np.ndarray:
    """Of a fit, (places,), without a cap."""
    return np.clip(_sigmoid(intercept + features @ np.asarray(weights)), LEAST, 1 - LEAST)


def held_out(features: np.ndarray, wins: np.ndarray, families: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Probabilities, (places,), each by a model that knows nothing of its family."""
    found = np.full(len(wins), 0.5)
    for family in np.unique(families):
        out = families == family
        if not out.all():
            found[out] = probabilities(*fit(features[~out], wins[~out], families[~out]), features[out])
    return np.where(jumps, np.minimum(found, CAP), found)


def risk_threshold(found: np.ndarray, wins: np.ndarray, families: np.ndarray, risk: float = RISK) -> float:
    """The smallest threshold from `LEAST_THRESHOLD` on at which few answers are wrong: `risk` of a new family's places.

    The loss of a family is the share of its places that are answered and wrong, which falls with the threshold, and
    the unseen one counts as 1: `(sum of the families' losses + 1) / (families + 1) <= risk`. With fewer than
    `1 / risk - 1` families no threshold will do, and nothing is answered: 1.

    Args:
        found: probabilities by models that do not know the place's family, (places,).
        wins: (places,).
        families: (places,).
        risk: between 0 and 1.
    """
    names = np.unique(families)
    sure = np.maximum(found, 1 - found)
    wrong = (found > 0.5) != wins
    for threshold in np.unique(np.append(sure[sure > LEAST_THRESHOLD], LEAST_THRESHOLD)):
        losses = [float((wrong & (sure >= threshold))[families == name].mean()) for name in names]
        if (sum(losses) + 1) / (len(names) + 1) <= risk:
            return float(threshold)
    return 1.0


def _sigmoid(values: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(values))
