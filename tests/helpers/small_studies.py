"""Plans of small studies, made as `scorepath plan` makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.helpers.places import ROOT

from scorepath.stages.plan import make_plan
from scorepath.study.cells import Plan
from scorepath.study.yaml import load_yaml

SMALL: dict[str, Any] = {
    "seed": 1,
    "noise_levels": [0.0, 0.1],
    "estimators": ["reinforce"],
    "gradients": {"samples": 256, "batch_size": 16, "dtype": "float32"},
    "references": {"noise_level": 0.1, "return_gaps": [0.0, 0.5], "samples": 640, "error_budget": 0.25},
    "costs": {"repeats": 1},
    "statistics": {"resamples": 10},
}


def small_plan(environments: Sequence[object], **sections: object) -> Plan:
    """A study of these environments; other sections of the configuration as given, or small."""
    return make_plan(SMALL | {"environments": list(environments)} | sections)


def default_plan(environments: Sequence[Mapping[str, object]]) -> Plan:
    """The default study with these environments and four estimators."""
    raw = load_yaml(ROOT / "config.yaml")
    estimators = ["leave_one_out", "measure_valued", "evolution_strategies", "pathwise"]
    training = raw["training"] | {"environments": [environments[0]["name"]], "estimators": ["leave_one_out"]}
    return make_plan(raw | {"environments": list(environments), "estimators": estimators, "training": training})
