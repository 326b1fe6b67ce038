"""Policies of a user's own in a configuration: which plan is made of them, what they depend on, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scorepath import plugins
from scorepath.environments._squashed import Squashed
from scorepath.modules import ModulePolicy
from scorepath.policies import LearnedStd
from scorepath.stages._instances import make_environment
from scorepath.stages.plan import make_plan
from scorepath.study import digests
from scorepath.study.cells import Plan
from scorepath.study.wording import ConfigError

PLUGIN = """
import torch
from torch import nn

class Actor(nn.Module):
    def __init__(self, observations=3, outputs=2, width=5):
        super().__init__()
        self.first, self.last = nn.Linear(observations, width), nn.Linear(width, outputs)
        self.register_buffer("scale", torch.ones(observations))

    def forward(self, observation):
        return self.last(nn.functional.elu(self.first(observation * self.scale)))

class Wide(Actor):
    def forward(self, observation):
        return super().forward(observation).repeat(1, 2)

class Counts(Actor):
    def forward(self, observation):
        self.scale += 1
        return super().forward(observation)

class Drops(Actor):
    def forward(self, observation):
        return super().forward(nn.functional.dropout(observation, 0.5, self.training))

class Quiet(Drops):
    def __init__(self, **options):
        super().__init__(**options)
        self.eval()

class Writes(Actor):
    def forward(self, observation):
        observation[..., 0] = 0
        return super().forward(observation)

class Mixes(Actor):
    def forward(self, observation):
        return super().forward(observation - observation.mean(0))

class Chooses(Actor):
    def forward(self, observation):
        return super().forward(observation if observation.sum() > 0 else -observation)

class Explodes(Actor):
    def forward(self, observation):
        return super().forward(observation) / 0

class Frozen(Actor):
    def __init__(self, **options):
        super().__init__(**options)
        self.requires_grad_(False)

def make(width):
    return Actor(width=width)

def nothing():
    return 7

size = 3
"""
POLICY = {"kind": "module", "module": "mine/policy.py:Actor", "standard_deviation": "state_dependent"}
ENTRY: dict[str, Any] = {"name": "mine", "family": "pendulum", "horizon": 4, "policy": POLICY, "squash": 2}
CONFIG: dict[str, Any] = {
    "plugins": ["mine/policy.py"],
    "noise_levels": [0, 0.1],
    "environments": [ENTRY, {"name": "pendulum", "horizon": 4, "family": "pendulum"}],
    "estimators": ["reinforce", "measure_valued"],
}


@pytest.fixture(autouse=True)
def _study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/policy.py").write_text(PLUGIN)
    forget()
    yield
    forget()


def forget() -> None:
    """As another process would see it."""
    for plugin in list(plugins._loaded.values()):
        plugins._forget(plugin)
    for cached in (digests._imports, digests._plugin, digests._file_digest, digests._source_digests):
        cached.cache_clear()


def planned(policy: dict[str, Any] | None = None, **changes: Any) -> Plan:
    forget()
    entry = {**ENTRY, "policy": {**POLICY, **(policy or {})}, **changes}
    return make_plan({**CONFIG, "environments": [entry, *CONFIG["environments"][1:]]})


def actor(width: int = 5) -> nn.Module:
    planned()
    module = plugins.load(Path("mine/policy.py"))[0].Actor(width=width)
    assert isinstance(module, nn.Module)
    return module


def test_a_module_with_weights_is_planned_and_starts_from_them() -> None:
    module = actor()
    torch.save(module.state_dict(), "mine/actor.pt")
    plan = planned({"weights": "mine/actor.pt"})
    environment, policy = make_environment(plan.study.environments["mine"])
    assert isinstance(environment, Squashed)
    assert environment.bound == 2.0
    assert isinstance(policy, ModulePolicy)
    assert (policy.log_std, policy.output_dim, policy.parameter_count) == (True, 2, 32)
    weights = torch.cat([each.detach().double().flatten() for each in module.parameters()])
    for seed in range(2):
        assert torch.equal(policy.initial_parameters(np.random.default_rng(seed)), weights)
    observations = torch.randn(4, 3, dtype=torch.float64)
    assert torch.allclose(policy.output(weights, observations, 0), module.double()(observations))
    reasons = {(cell.estimator, cell.environment, cell.sigma): cell.reason for cell in plan.cells}
    assert reasons["measure_valued", "mine", 0.1] == "the policy has a standard deviation of its own"
    assert reasons["measure_valued", "pendulum", 0.1] == ""


def test_without_weights_every_seed_starts_from_its_own() -> None:
    entry = planned({"module": "mine/policy.py:make", "options": {"width": 7}}).study.environments["mine"]
    policy = make_environment(entry)[1]
    assert policy.parameter_count == 3 * 7 + 7 + 7 * 2 + 2
    one, other, again = (policy.initial_parameters(np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_learned_standard_deviation_goes_with_any_module() -> None:
    plan = planned({"standard_deviation": "learned", "options": {"outputs": 1}})
    policy = make_environment(plan.study.environments["mine"])[1]
    assert isinstance(policy, LearnedStd)
    assert (policy.output_dim, policy.parameter_count) == (2, 3 * 5 + 5 + 5 + 1 + 1)


def test_a_module_in_evaluation_mode_may_have_dropout() -> None:
    assert planned({"module": "mine/policy.py:Quiet"}).cells


@pytest.mark.parametrize("edited", ["mine/policy.py", "mine/actor.pt"])
def test_its_file_and_its_weights_count_for_what_uses_them(edited: str) -> None:
    torch.save(actor().state_dict(), "mine/actor.pt")
    before = planned({"weights": "mine/actor.pt"})
    assert before.study.files == ("mine/policy.py", "mine/actor.pt")
    if edited.endswith(".py"):
        Path(edited).write_text(PLUGIN + "\n# a remark\n")
    else:
        torch.save({name: 2 * each for name, each in actor().state_dict().items()}, edited)
    after = planned({"weights": "mine/actor.pt"})
    assert before.key != after.key
    changed = {old.environment for old, new in zip(before.cells, after.cells, strict=True) if old.digest != new.digest}
    assert "mine" in changed
    if edited.endswith(".pt"):  # while a plugin without a class counts for all jobs that make instances
        assert changed == {"mine"}
        assert before.digests["reference/mine"] != after.digests["reference/mine"]
        assert before.digests["reference/pendulum"] == after.digests["reference/pendulum"]


REFUSED = {
    "Wide": "Wide returns (3, 4) for observations (3, 3), but must return (3, 2): twice action_dim",
    "Counts": "Counts writes to its buffer 'scale' when called: call .eval()",
    "Drops": "Drops answers the same observation differently each time, as dropout does: call .eval()",
    "Writes": "Writes writes to the observations it is given",
    "Mixes": "Mixes lets one row of observations enter another's output",
    "Chooses": "Chooses cannot be differentiated by torch.func",
    "Explodes": "Explodes returns numbers that are not finite for observations between -1 and 1",
    "Frozen": "Frozen has no parameters that require gradients",
    "nothing": "it must be a torch.nn.Module or a function that returns one, got int",
    "size": "mine/policy.py defines no class or function 'size'",
    "Actro": "mine/policy.py defines no class or function 'Actro'",
    "make": "it cannot be made: TypeError: make() missing 1 required positional argument: 'width'",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_an_observation_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planned({"module": f"mine/policy.py:{name}"})
    assert f"environments[0] (mine): policy.module is mine/policy.py:{name}, but {REFUSED[name]}" in str(caught.value)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigError, match=r"fails on observations of shape \(3, 3\) \(observation_dim is 3\)"):
        planned({"options": {"observations": 4}})
    with pytest.raises(ConfigError, match=r"must return \(3, 1\): action_dim"):
        planned({"standard_deviation": "fixed"})
    with pytest.raises(ConfigError, match=r"policy.module.*it cannot be made: .*unexpected keyword argument 'depth'"):
        planned({"options": {"depth": 4}})


class Anything:
    """What a pickle may hold, and a state dict not."""


def test_weights_that_do_not_fit_are_named() -> None:
    good = actor().state_dict()
    wrong: dict[str, tuple[Any, str]] = {
        "other sizes": (
            actor(7).state_dict(),
            r"the weights have 'first.weight' of shape \(7, 3\), but .* is \(5, 3\)",
        ),
        "one lacks": ({key: good[key] for key in good if key != "scale"}, "the weights have no 'scale'"),
        "one too many": (good | {"head": torch.ones(1)}, "the weights have 'head', which Actor has not"),
        "nan": (
            good | {"last.bias": torch.tensor([0.0, math.nan])},
            "numbers in 'last.bias' that are not finite",
        ),
        "no state dict": (torch.ones(3), r"policy.weights, mine/actor.pt, holds no state dict: write it with"),
        "of another kind": ({"epoch": 3}, "holds no state dict"),
        "a pickle": (Anything(), "policy.weights, mine/actor.pt, cannot be read as weights alone: write it with"),
    }
    for saved, message in wrong.values():
        torch.save(saved, "mine/actor.pt")
        with pytest.raises(ConfigError, match=message):
            planned({"weights": "mine/actor.pt"})
    torch.save(Anything(), "mine/actor.pt", pickle_protocol=4)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(ConfigError, match="cannot be read as weights alone"):
            planned({"weights": "mine/actor.pt"})
    assert not heard, "torch's warning of the protocol would stand above the sentence"
    Path("mine/actor.pt").write_text("no archive")
    with pytest.raises(ConfigError, match="cannot be read as weights alone"):
        planned({"weights": "mine/actor.pt"})
    with pytest.raises(ConfigError, match=r"there is no file mine/actro.pt \(policy.weights\)"):
        planned({"weights": "mine/actro.pt"})


def test_a_file_is_imported_because_plugins_lists_it() -> None:
    with pytest.raises(
        ConfigError, match=r"environments\[0\].policy.module \(mine\) is in mine/policy.py, which plugins"
    ):
        make_plan({**CONFIG, "plugins": []})


def test_what_has_no_real_valued_actions_has_neither() -> None:
    for change, message in (
        ({"squash": True}, "squash: Chain has no"),
        ({"policy": {"kind": "mlp", "standard_deviation": "learned"}}, "actions are discrete"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_plan({**CONFIG, "environments": [{"name": "chain", "family": "chain", **change}]})
