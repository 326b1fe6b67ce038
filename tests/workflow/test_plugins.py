"""A user's own environment and estimator, in files beside config.yaml, go through the whole study to the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.project import Project

from scorepath import plugins
from scorepath.stages.plan import make_plan
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import load_yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Plugins that a test has imported in this process."""
    yield
    for plugin in list(plugins._loaded.values()):
        plugins._forget(plugin)


ENVIRONMENT = '''
"""A point that is pushed towards the origin."""

from dataclasses import dataclass
from typing import ClassVar

from scorepath.environments.base import Environment, ReferenceClass


@dataclass(frozen=True, kw_only=True)
class Point(Environment):
    """`s' = s + time_step a`, reward `-s^2`."""

    time_step: float = 0.1

    source: ClassVar[str] = "a user"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "linear"
    horizon: ClassVar[int] = 3
    initial_noise_dim: ClassVar[int] = 1

    def initial_state(self, noise):
        return 1.0 + 0.1 * noise

    def step(self, state, action, process_noise):
        return state + self.time_step * action, -state.square().sum(-1)
'''
ESTIMATOR = '''
"""Half of pathwise, half of the score function."""

from dataclasses import dataclass
from typing import ClassVar

from scorepath.estimators.base import ActionSignalEstimator


@dataclass(frozen=True, kw_only=True)
class HalfAndHalf(ActionSignalEstimator):
    """Approximates grad J_sigma. With half of either signal. Requires differentiable dynamics."""

    source: ClassVar[str] = "a user"
    family: ClassVar[str] = "mixture"
    bias: ClassVar[str] = "unbiased where pathwise is"
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_gaussian_noise: ClassVar[bool] = True

    def unbiased(self, environment):
        return environment.continuous

    def signal(self, simulator, noise, past=None):
        trajectories = simulator.rollout(noise.rollout, differentiable=True)
        pathwise = trajectories.action_gradient(trajectories.returns)
        trajectories = trajectories.detach()
        return trajectories, (pathwise + trajectories.returns[..., None, None] * trajectories.score) / 2
'''
FILES = {"point.py": ENVIRONMENT, "half_and_half.py": ESTIMATOR}


def install(project: Project, base_config: dict[str, Any], **files: str) -> None:
    """Write the plugin files and name them in the study, one of them in a folder."""
    for name, text in {**FILES, **files}.items():
        project.path("mine").mkdir(exist_ok=True)
        project.path(f"mine/{name}").write_text(text)
    lqr = next(entry for entry in base_config["environments"] if entry["name"] == "lqr")
    project.configure(
        plugins=["mine/point.py", "mine/half_and_half.py"],
        environments=[lqr, {"name": "near", "family": "point", "time_step": 0.2}],
        estimators=["reinforce", "pathwise", "half_and_half"],
    )


def test_plugins_reach_the_report_and_an_edit_reruns_what_uses_them(
    fresh: Project, base_config: dict[str, Any]
) -> None:
    install(fresh, base_config)
    ended = fresh.run()
    assert ended.status == 0, ended.output
    cells = fresh.results("gradients/**/*.csv")
    assert {"gradients/near/half_and_half/sigma=0.5.csv", "gradients/lqr/half_and_half/sigma=0.5.csv"} <= set(cells)
    report = fresh.path("reports/report.html").read_text()
    assert "half and half" in report
    assert "near" in report
    assert fresh.dry_run() == set()

    fresh.append("mine/half_and_half.py", "\n# a remark\n")
    jobs = {job for job in fresh.dry_run() if job.startswith(("gradients", "reference"))}
    assert jobs == {f"gradients {place}/half_and_half/0.5" for place in ("lqr", "near")}
    fresh.append("mine/point.py", "\n# a remark\n")
    jobs = {job for job in fresh.dry_run() if job.startswith("gradients") and "half_and_half" not in job}
    assert jobs == {"gradients near/reinforce/0.5", "gradients near/pathwise/0.5", "gradients near/pathwise/0"}


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


STEP = "return state + self.time_step * action, -state.square().sum(-1)"
BROKEN = {
    "no file": (None, ["plugins[0]", "mine/point.py", "there is no file"]),
    "syntax": (ENVIRONMENT + "\ndef (:\n", ["plugins[0]", "mine/point.py", "line 28"]),
    "import": (ENVIRONMENT + "\nimport nothing_of_this_name\n", ["plugins[0]", "nothing_of_this_name"]),
    "no class": ("x = 1\n", ["plugins[0]", "exactly one public dataclass"]),
    "not ours": (
        "from dataclasses import dataclass\n@dataclass\nclass Mine:\n    x: int = 1\n",
        ["plugins[0]", "Mine", "Environment nor Estimator"],
    ),
    "wrong shape": (broken(ENVIRONMENT, ".sum(-1)", ""), ["environments[1]", "near", "shape"]),
    "not a number": (broken(ENVIRONMENT, "-state.square().sum(-1)", "(-state.square().sum(-1)).sqrt()"), ["near"]),
    "in place": (broken(ENVIRONMENT, STEP, STEP.replace("state +", "state.add_(0.1) +")), ["near", "in place"]),
    "not differentiable": (
        broken(ENVIRONMENT, "self.time_step * action,", "self.time_step * action.detach(),"),
        ["near", "differentiable"],
    ),
}


def break_it(project: Project, base_config: dict[str, Any], mistake: str) -> list[str]:
    """Install the plugins with a mistake; what its message has to name."""
    text, expected = BROKEN[mistake]
    install(project, base_config, **({} if text is None else {"point.py": text}))
    if text is None:
        project.path("mine/point.py").unlink()
    return expected


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_plugin_is_one_clear_message(
    mistake: str, tmp_path: Path, base_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning says it; the next test, that what planning says is all that a user sees."""
    project = Project(tmp_path)
    expected = break_it(project, base_config, mistake)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        make_plan(load_yaml("config.yaml"))
    message = str(refused.value)
    assert message.isprintable()
    for word in expected:
        assert word in message


@pytest.mark.parametrize("mistake", ["syntax", "wrong shape"])
def test_snakemake_shows_that_message_alone(mistake: str, fresh: Project, base_config: dict[str, Any]) -> None:
    """Of a file that cannot be imported, and of an environment that cannot be used."""
    expected = break_it(fresh, base_config, mistake)
    ended = fresh.snakemake("--dry-run")
    assert ended.status == 1
    assert "Traceback" not in ended.output
    lines = [line for line in ended.output.splitlines() if line and not line.startswith("Using workflow specific")]
    assert len(lines) == 1, ended.output
    for word in expected:
        assert word in lines[0], ended.output
    assert not fresh.path("results/plan.json").exists()
