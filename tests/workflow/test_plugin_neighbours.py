"""What lies beside a plugin: it reruns what depends on it, is found however a job is run, and travels in the crate."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.project import Project, new_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PLUGIN = '''
"""A plugin that imports its neighbours, one of them late, and reads a table."""

from dataclasses import dataclass

from dynamics import move

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class WithHelper(Environment):
    """`s' = move(s, a)`, reward `-s^2`."""

    horizon: int = 3

    source = "own"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    initial_noise_dim = 1
    data_files = ("table.csv",)

    def initial_state(self, noise):
        return 1.0 + 0.1 * noise

    def step(self, state, action, process_noise):
        from rewards.squares import reward

        return move(state, action), reward(state)
'''
FILES = {
    "mine/with_helper.py": PLUGIN,
    "mine/dynamics.py": """
from pathlib import Path

GAIN = 0.1
DRIFT = float(Path(__file__).with_name("table.csv").read_text())


def move(state, action):
    return state + GAIN * action + DRIFT
""",
    "mine/rewards/__init__.py": "",
    "mine/rewards/squares.py": "def reward(state):\n    return -state.square().sum(-1)\n",
    "mine/table.csv": "0.05\n",
    "mine/notes.txt": "nobody reads this\n",
    "dynamics.py": "raise SystemExit('not the neighbour of the plugin')\n",
}
BESIDE = ("mine/dynamics.py", "mine/rewards/squares.py", "mine/table.csv")
CONFIG: dict[str, Any] = {
    "plugins": ["mine/with_helper.py"],
    "noise_levels": [0.1],
    "environments": [{"name": "helped", "family": "with_helper"}, {"name": "cosine", "family": "cosine"}],
    "estimators": ["reinforce", "pathwise"],
    "gradients": {"samples": 128, "batch_size": 16},
    "references": {"return_gaps": [0], "samples": 1280},
    "training": {"extension": 0, "seeds": 3, "iterations": 4, "learning_rates": [0.1]},
    "costs": {"repeats": 2},
    "statistics": {"resamples": 100},
}
OF_HELPED = {
    *("reference_policies helped", "reference helped/0.1", "costs helped", "exact_curves helped"),
    *("signals helped", "probes helped", "landscapes helped"),
    *(f"{rule} helped/{name}/0.1" for rule in ("gradients", "train") for name in ("reinforce", "pathwise")),
}
OF_CELLS = ("reference", "gradients", "train", "costs", "exact_curves", "signals", "probes", "landscapes ")


def write(project: Project, files: dict[str, str], **changes: Any) -> None:
    for name, text in files.items():
        project.path(name).parent.mkdir(parents=True, exist_ok=True)
        project.path(name).write_text(text)
    project.path("config.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}, sort_keys=False))


def numbers(project: Project) -> dict[str, bytes]:
    """The results that are the same from run to run."""
    patterns = ("references/**/*.npz", "gradients/**/*.csv", "training/**/*.csv")
    return {name: content for pattern in patterns for name, content in project.results(pattern).items()}


@pytest.fixture(scope="module")
def _helped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("neighbours") / "study")
    write(project, FILES)
    ended = project.run()
    assert ended.status == 0, ended.output
    return project


@pytest.fixture
def helped(_helped: Project, tmp_path: Path) -> Project:
    """A computed study whose plugin has neighbours and data."""
    return _helped.copy(tmp_path / "study")


def test_an_edit_reruns_what_depends_on_it_and_nothing_else(helped: Project) -> None:
    helped.append("mine/notes.txt", "still\n")
    assert helped.dry_run() == set()
    for name in BESIDE:
        before = helped.path(name).read_text()
        helped.append(name, "\n")
        jobs = {job for job in helped.dry_run() if job.startswith(OF_CELLS)}
        assert jobs == OF_HELPED, name
        helped.path(name).write_text(before)
    assert helped.dry_run() == set()


def test_no_table_mixes_two_models(helped: Project) -> None:
    """An edit and one more noise level, in one go."""
    before = numbers(helped)
    helped.path("mine/dynamics.py").write_text(FILES["mine/dynamics.py"].replace("0.1", "9.0"))
    write(helped, {}, noise_levels=[0.1, 0.2])
    ended = helped.run(
        *(f"results/tables/{name}.csv" for name in ("gradient_statistics", "signals", "probes", "landscapes"))
    )
    assert ended.status == 0, ended.output
    after = numbers(helped)
    same = {name for name, content in before.items() if after[name] == content}
    assert same == {name for name in before if "cosine" in name}
    verified = helped.execute("scorepath", "verify", "--all", "--cores", "2")
    assert verified.status == 0, verified.output


def test_a_job_is_the_same_however_it_is_run(helped: Project) -> None:
    before = numbers(helped)
    checked = helped.execute("scorepath", "check", "mine/with_helper.py")
    assert checked.status == 0, checked.output
    assert "with   dynamics.py, rewards/__init__.py, rewards/squares.py, table.csv\n" in checked.output
    commands = (["scorepath"], [sys.executable, "-m", "scorepath"])
    for command, estimator in zip(commands, ("reinforce", "pathwise"), strict=True):
        helped.path(f"results/gradients/helped/{estimator}/sigma=0.1.csv").unlink()
        ended = helped.execute(*command, "gradients", "helped", estimator, "0.1")
        assert ended.status == 0, ended.output
    assert numbers(helped) == before
    helped.path("results/training/helped/pathwise/sigma=0.1.csv").unlink()
    ended = helped.snakemake("--cores", "1", "--executor", "local", "results/training/helped/pathwise/sigma=0.1.csv")
    assert ended.status == 0, ended.output
    assert numbers(helped) == before
    verified = helped.execute("scorepath", "verify", "--all", "--cores", "2")  # in scratch folders, by a warm worker
    assert verified.status == 0, verified.output
    caches = [path for path in helped.folder.rglob("__pycache__") if not path.is_relative_to(helped.path("src"))]
    assert caches == []


def test_the_crate_holds_all_that_a_plugin_consists_of(helped: Project, tmp_path: Path) -> None:
    with zipfile.ZipFile(helped.path("reports/crate.zip")) as archive:
        for name in ("mine/with_helper.py", "mine/rewards/__init__.py", *BESIDE):
            assert archive.read(name) == helped.path(name).read_bytes()
        assert not {"mine/notes.txt", "dynamics.py"} & set(archive.namelist())
        archive.extractall(tmp_path / "unpacked")
    planned = Project(tmp_path / "unpacked").execute("scorepath", "plan")
    assert planned.status == 0, planned.output


def test_a_plugin_above_the_studys_folder_can_be_verified(fresh: Project) -> None:
    files = {name.replace("mine/", "../mine/"): text for name, text in FILES.items() if name.startswith("mine/")}
    write(fresh, files, plugins=["../mine/with_helper.py"], environments=CONFIG["environments"][:1])
    ended = fresh.snakemake("--cores", "2", "results/gradients/helped/pathwise/sigma=0.1.csv")
    assert ended.status == 0, ended.output
    verified = fresh.execute("scorepath", "verify", "--all", "--cores", "2")
    assert verified.status == 0, verified.output
    assert "gradients: 1 of 1 identical" in verified.output


REGISTERS = '''
"""Registers a tank that leaks; it defines no environment of Scorepath's."""

import gymnasium
import tank

gymnasium.register(id="Mine/Tank-v0", entry_point=tank.Tank)
'''
TANK = """
import gymnasium
import numpy as np

LEAK = 0.1


class Tank(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.level = self.np_random.normal(size=1)
        return self.level, {}

    def step(self, action):
        self.level = (1 - LEAK) * self.level + action
        return self.level, -float(self.level[0] ** 2), False, False, {}
"""


def test_jobs_import_a_plugin_that_registers_an_id(fresh: Project) -> None:
    environments = [{"name": "tank", "family": "gymnasium", "id": "Mine/Tank-v0", "horizon": 3}]
    training = {**CONFIG["training"], "estimators": ["reinforce"]}
    files = {"mine/registers.py": REGISTERS, "mine/tank.py": TANK}
    write(fresh, files, plugins=["mine/registers.py"], environments=environments, training=training)
    ended = fresh.run("results/gradients/tank/reinforce/sigma=0.1.csv", "results/training/tank/reinforce/sigma=0.1.csv")
    assert ended.status == 0, ended.output
    before = numbers(fresh)
    fresh.path("results/gradients/tank/reinforce/sigma=0.1.csv").unlink()
    ended = fresh.execute("scorepath", "gradients", "tank", "reinforce", "0.1")
    assert ended.status == 0, ended.output
    assert numbers(fresh) == before
    fresh.append("mine/tank.py", "\n")
    jobs = fresh.dry_run("results/gradients/tank/reinforce/sigma=0.1.csv")
    assert jobs == {"reference_policies tank", "reference tank/0.1", "gradients tank/reinforce/0.1"}
