"""The code in docs/ runs as documented, in the place it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml
from tests.helpers.places import ROOT

from scorepath import registry
from scorepath.cli import commands as cli
from scorepath.environments.base import make_policy
from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.pathwise import Pathwise
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.stages.plan import make_plan

DOCS = ROOT / "docs"


def documented(page: str, folder: Path) -> Path:
    """The page's one Python block, in a file of the name that the page gives it."""
    text = (DOCS / page).read_text()
    (name,) = re.findall(r"Here is `(\w+\.py)`", text)
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (folder / name).write_text(block)
    return folder / name


@pytest.mark.parametrize("page", ["add-an-environment.md", "add-an-estimator.md"])
def test_documented_file_passes_the_documented_check(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / page).read_text()
    assert len(text.splitlines()) < 40
    path = documented(page, tmp_path)
    assert f"`scorepath check {path.name}`" in text
    assert f"`plugins: [{path.name}]`" in text
    assert cli.run_here(["check", str(path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", ["add-an-environment.md", "add-an-estimator.md"])
def test_documented_entry_names_the_file_and_its_knobs(page: str, tmp_path: Path) -> None:
    path = documented(page, tmp_path)
    (line,) = re.findall(r"`(\{name: .*?\})`", (DOCS / page).read_text())
    entry = yaml.safe_load(line)
    package, kind = registry.load_plugin(path)
    assert entry.pop("name") not in registry.names(package)
    assert entry.pop("family" if package == registry.ENVIRONMENTS else "method") == path.stem
    instance = kind(**entry)
    assert {name: getattr(instance, name) for name in entry} == entry
    assert instance != kind()


def test_documented_environment_is_pushed_towards_the_origin(tmp_path: Path) -> None:
    environment = registry.load_plugin(documented("add-an-environment.md", tmp_path))[1]()
    policy = make_policy(environment)
    simulator = Simulator(environment, policy, torch.zeros(policy.parameter_count), sigma=0.1)
    noise = Noise(environment, Stream(0, "point", "test"), range(2), 64)
    means, trajectories = Pathwise().estimate(simulator, noise)
    assert trajectories is not None
    assert trajectories.observations.shape == (2, 64, environment.horizon, 1)
    assert (means < 0).all()  # a negative gain pushes towards the origin


def test_documented_estimator_uses_its_option(tmp_path: Path) -> None:
    """With the mean return as the baseline its variance on a linear return is the smallest."""
    kind = registry.load_plugin(documented("add-an-estimator.md", tmp_path))[1]
    environment = Quadratic(dimension=1, offset=10.0)
    simulator = Simulator(environment, make_policy(environment), torch.zeros(1), sigma=0.01)
    noise = Noise(environment, Stream(0, "quadratic", "test"), range(1), 4096)
    deviations = {
        value: torch.cat(list(kind(value=value).gradients(simulator, noise))).std() for value in (0.0, -100.0)
    }
    # the return is -100 + 20 sigma eps and little else: 100 / sigma against 20 sqrt(2)
    assert deviations[0.0].item() == pytest.approx(1e4, rel=0.07)  # six standard errors
    assert deviations[-100.0].item() == pytest.approx(20 * 2**0.5, rel=0.2)


def test_readme_example_runs_and_its_intervals_hold_the_exact_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS.parent / "README.md").read_text(), flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    pathwise, reinforce, exact, comparison = capsys.readouterr().out.splitlines()
    (truth,) = map(float, re.findall(r"-?\d+\.\d+", exact))
    for line in (pathwise, reinforce):
        value, low, high = map(float, re.findall(r"mean (\S+) \[(\S+), (\S+)\]", line)[0])
        assert low < value < high
        assert abs(value - truth) < 1.5 * (high - low)  # fixed seed; 3 half-widths are 5.9 standard errors
    assert comparison.startswith("Pathwise has the smaller mean squared error: LeaveOneOut's is ")


def test_documented_policy_is_planned_checked_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "bring-your-own-policy.md").read_text()
    module, code = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (config,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (command,) = re.findall(r"^    scorepath (check .*)$", text, flags=re.MULTILINE)
    (saving,) = re.findall(r"`(torch\.save\(.*?\))`", text)
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/policy.py").write_text(module)
    exec(f"{module}\nactor = Actor()\n{saving}", {})
    (environment,) = {cell.environment for cell in make_plan(yaml.safe_load(config)).running("gradients")}
    assert environment == "pendulum"
    assert cli.run_here(shlex.split(command)) == 0
    assert "The policy has 258 parameters" in capsys.readouterr().out
    assert cli.run_here(shlex.split(command.replace("state_dependent", "fixed"))) != 0
    assert "must return (3, 1): action_dim" in capsys.readouterr().err
    exec(compile(code, "bring-your-own-policy.md", "exec"), {})
    assert capsys.readouterr().out == "Pathwise\n"
