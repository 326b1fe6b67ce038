"""`scorepath check` on files that a user might write: what is wrong is said in plain words, never in a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.helpers.places import ROOT

from scorepath.cli import commands as cli
from scorepath.conformance import quick_findings
from scorepath.registry import load_plugin

torch.set_num_threads(1)

ENVIRONMENT = '''
from dataclasses import dataclass

import torch

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Point(Environment):
    """A point on a line."""

    horizon: int = 4
    time_step: float = 0.1

    source = "test"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    initial_noise_dim = 1

    def initial_state(self, noise):
        return 1.0 + 0.1 * noise

    def step(self, state, action, process_noise):
        next_state = state + self.time_step * action
        reward = -state.square().sum(-1)
        return next_state, reward
'''

ESTIMATOR = '''
from dataclasses import dataclass

from scorepath.estimators.base import ActionSignalEstimator


@dataclass(frozen=True, kw_only=True)
class Plain(ActionSignalEstimator):
    """Nothing but the score function."""

    source = "test"
    family = "score_function"
    bias = "unbiased"

    def signal(self, simulator, noise, past=None):
        trajectories = simulator.rollout(noise.rollout)
        return trajectories, trajectories.returns[..., None, None] * trajectories.score
'''


def write(folder: Path, text: str, *changes: tuple[str, str], name: str = "mine.py") -> Path:
    """A user's file: the text with some lines changed."""
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def with_line(sentence: str, text: str, path: Path) -> str:
    """The sentence with the line at which this text stands in the file."""
    before = path.read_text().split(text or "\n")[0]
    return sentence.replace("{line}", str(before.count("\n") + 1))


def check(path: Path | str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and all that is printed."""
    status = cli.run_here(["check", str(path)])
    printed = "".join(capsys.readouterr())
    assert "Traceback" not in printed
    return status, printed


@pytest.mark.parametrize(("text", "key"), [(ENVIRONMENT, "family"), (ESTIMATOR, "method")])
def test_a_good_file(text: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, text)
    status, printed = check(path, capsys)
    assert status == 0, printed
    assert "wrong  " not in printed
    assert printed.count("  ok") >= 14
    assert f"`plugins: [{path}]`" in printed
    assert f"`{key}: mine`" in printed
    assert quick_findings(load_plugin(path)[1]()) == []


@pytest.mark.parametrize("name", ["quadratic", "reinforce"])
def test_the_name_of_a_built_in(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = check(name, capsys)
    assert status == 0, printed
    assert "Nothing is wrong." in printed


STEP = "next_state = state + self.time_step * action"
REWARD = "reward = -state.square().sum(-1)"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            REWARD,
            "reward = -state.square()",
            "the reward of step() has shape (1,) where the batch has shape (): it must be ()",
        ),
        (REWARD, "reward = (-state).sum(-1).sqrt()", "the reward of step() is not finite at"),
        (
            STEP,
            "state += self.time_step * action; next_state = state",
            "step() changed its input `state` in place: return new tensors instead",
        ),
        (
            STEP,
            "next_state = state + self.time_step * action.detach()",
            "torch's derivative of the next state of step() by the action differs from central differences",
        ),
        (
            STEP,
            "next_state = state + (0 * action).abs().sqrt() * action",
            "torch's derivative of the next state of step() by the action is nan or infinite at 32 of 32 points: "
            "sqrt at line {line} of mine.py",
        ),
        (
            STEP,
            "next_state = torch.from_numpy((state + action).numpy())",
            "step() raised RuntimeError at line {line} of mine.py: Can't call numpy() on Tensor that requires grad",
        ),
        (STEP, "next_state = state + self.speed", "step() raised AttributeError at line {line} of mine.py: "),
        (STEP, "raise ValueError('too\\nfast.')", "step() raised ValueError at line {line} of mine.py: too"),
        ("return next_state, reward", "return next_state", "step() must return two tensors, next state and reward"),
        ("def step", "def move", "Point does not define step()"),
        ("(self, state, action, process_noise)", "(self, state, action)", "using it ended in TypeError at line "),
        ('source = "test"', "", "source must be declared"),
        ("horizon: int = 4", "horizon: float = 4.0", "horizon must be an integer of at least 1, got 4.0"),
        ("initial_noise_dim = 1", "", "the result of initial_state() has shape (0,)"),
        ('"certified_monte_carlo"', '"closed_form"', "Point does not define expected_return(), which is needed here"),
        ("time_step: float = 0.1", "time_step: float", "time_step has no default"),
        ("@dataclass(frozen=True, kw_only=True)", "", "horizon is no field: write @dataclass(frozen=True, kw_only="),
    ],
    ids=lambda text: "".join(filter(str.isalnum, text))[:24],
)
def test_a_wrong_environment(
    old: str, new: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, ENVIRONMENT, (old, new))
    status, printed = check(path, capsys)
    assert status == 1
    assert f"- {with_line(sentence, new, path)}" in printed
    assert "wrong with" in printed


SIGNAL = "return trajectories, trajectories.returns[..., None, None] * trajectories.score"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (SIGNAL, f"{SIGNAL} * simulator.sigma", "its mean in quadratic at sigma = 0.5 is"),
        (SIGNAL, f"{SIGNAL} / 0", "gradients() yields nan or infinity in"),
        (SIGNAL, "return trajectories.score", "signal() must return two things: the trajectories and the action sig"),
        (
            SIGNAL,
            "return trajectories, trajectories.returns",
            "signal() returns a signal of shape (3, 8) where ",
        ),
        (SIGNAL, "return trajectories, trajectories.sore", "signal() raised AttributeError at line {line} of mine.py"),
        ('"score_function"', '"mine"', "family must be one of score_function, pathwise,"),
        ("def signal", "def sign", "Plain does not define signal()"),
    ],
    ids=lambda text: "".join(filter(str.isalnum, text))[-24:],
)
def test_a_wrong_estimator(
    old: str, new: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, ESTIMATOR, (old, new))
    status, printed = check(path, capsys)
    assert status == 1
    assert f"- {with_line(sentence, new, path)}" in printed


def test_what_is_wrong_with_a_variant_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path,
        ENVIRONMENT,
        ("initial_noise_dim = 1", "initial_noise_dim = 1\n    variants = ({'time_step': 2.0}, {'speed': 1})"),
        (REWARD, "reward = -state.square().sum(-1) if self.time_step < 1 else torch.zeros(())"),
    )
    status, printed = check(path, capsys)
    assert status == 1
    assert "- with time_step = 2.0: the reward of step() " in printed
    assert "- with speed = 1: Point.__init__() got an unexpected keyword argument 'speed'" in printed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def step(:\n", "cannot be imported: line 1: invalid syntax"),
        ("import scorepath.nowhere\n", "cannot be imported: line 1 of mine.py: ModuleNotFoundError"),
    ],
)
def test_a_file_that_is_no_environment(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed = check(write(tmp_path, text), capsys)
    assert status == 1
    assert sentence in printed


def test_a_file_that_only_registers_something_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = check(write(tmp_path, "import torch\n"), capsys)
    assert status == 0
    assert "It defines no environment and no estimator" in printed


@pytest.mark.parametrize("name", ["nowhere.py", "no_such_family"])
def test_a_file_that_is_not_there(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = check(tmp_path / name, capsys)
    assert status == 1
    assert name in printed


def test_the_command_itself(tmp_path: Path) -> None:
    """Through the installed command, also where a worker is said to be running: it is no job of a rule."""
    path = write(tmp_path, ENVIRONMENT, ("return next_state, reward", "return reward, next_state"))
    command = [str(Path(sys.executable).with_name("scorepath")), "check", path.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the next state of step() has shape ()" in done.stdout
    assert done.stderr == "scorepath: 1 thing is wrong with mine.py; checks that build on what is wrong were left out\n"


def test_an_entrys_knobs_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """What a configuration asks for may be wrong where the defaults are not."""
    assert cli.run_here(["check", "lqr", "horizon=3", "dynamics=[[9e-1]]", "control=[[0.5]]"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    assert cli.run_here(["check", "quadratic", "dimension=0"]) == 1
    assert "with dimension = 0: dimension must be" in capsys.readouterr().out
    assert cli.run_here(["check", "quadratic", "dimensio=3"]) == 1
    assert "Did you mean 'dimension'?" in capsys.readouterr().err
    assert cli.run_here(["check", "quadratic", "3"]) == 1
    assert "write knob=value" in capsys.readouterr().err


def test_a_name_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_here(["check", "hoper"]) == 1
    assert "no estimator method 'hoper'. Did you mean 'hopper'?" in capsys.readouterr().err


def test_an_xml_model_is_checked_as_an_entry_of_the_family_mujoco(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mujoco", reason="the extra `mujoco` is not installed")
    file = tmp_path / "ball.xml"
    file.write_text((ROOT / "config/falling_ball.xml").read_text())
    assert cli.run_here(["check", str(file), "horizon=3", "ends=false", "solimp_d0=0"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    assert cli.run_here(["check", str(tmp_path / "absent.xml")]) != 0
    assert "there is no file" in capsys.readouterr().err


def test_rewards_that_are_nan_are_found_and_break_no_other_check(tmp_path: Path) -> None:
    file = tmp_path / "rooted.py"
    file.write_text(ENVIRONMENT.replace("-state.square().sum(-1)", "torch.sqrt(1 - next_state[..., 0])"))
    _, kind = load_plugin(file)
    findings = quick_findings(kind())
    assert any(each.startswith("the reward of step() is not finite at ") for each in findings)
    assert not any("atol" in each or "using it ended in" in each for each in findings)
