"""`scorepath advise`: from a file, a family with knobs, an entry of a configuration; errors are a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorepath.cli import commands as cli

FILE = '''
from dataclasses import dataclass

import scorepath as sp


@dataclass(frozen=True, kw_only=True)
class Point(sp.Environment):
    """A point that is pushed towards the origin."""

    horizon: int = 5
    time_step: float = 0.1

    source = "test"
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    initial_noise_dim = 1

    def initial_state(self, noise):
        return 1.0 + 0.1 * noise

    def step(self, state, action, process_noise):
        return state + self.time_step * action, -state.square().sum(-1)
'''
CONFIG = """
noise_levels: [0.1]
environments:
  - {name: tilted, family: cosine, frequency: 10.0, phase: 1.0}
estimators: [reinforce]
gradients: {samples: 128, batch_size: 16}
references: {return_gaps: [0], samples: 1280}
training: {environments: [], estimators: []}
"""


def advise(*arguments: str) -> int:
    return cli.run_here(["advise", *arguments, "--budget", "5"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("point.py").write_text(FILE)
    Path("config.yaml").write_text(CONFIG)
    Path("nothing.py").write_text("answer = 42\n")


def test_a_file_with_knobs_is_advised_about_and_the_advice_written(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["point.py", "--noise-levels", "0.1", "0.03", "time_step=0.2", "--horizon", "4"]
    assert advise(*asked, "--json", "a=json", "--html", "out/a.html") == 0
    said = capsys.readouterr()
    assert "Point, 4 steps" in said.out
    assert said.out.index("sigma = 0.03: pathwise") < said.out.index("sigma = 0.1: pathwise")
    assert "does the return jump?" in said.err
    content = json.loads(Path("a=json").read_text())
    assert [each["recommendation"] for each in content["answers"]] == ["pathwise", "pathwise"]
    assert Path("out/a.html").read_text().startswith("<!doctype html>")


def test_an_entry_of_the_configuration_is_meant_before_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert advise("tilted", "--noise-levels", "0.3") == 0
    assert "sigma = 0.3: no derivatives" in capsys.readouterr().out


def test_a_policy_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert advise("lqr", "horizon=3", "--policy", "open_loop", "--noise-levels", "0.1") == 0
    assert "LQR, 3 steps, OpenLoop of 3 parameters" in capsys.readouterr().out


def test_an_error_in_a_later_step_is_said_with_its_line_and_no_stack(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = FILE.replace(
        "        return state +", "        if (state > 1.5).any():\n            state @ state\n        return state +"
    )
    Path("late.py").write_text(late)
    assert advise("late.py", "--noise-levels", "1.0") == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    line = 1 + late.splitlines().index("            state @ state")
    assert f"\nscorepath: an error in your plugin late.py, line {line}: RuntimeError: " in said
    monkeypatch.setenv("SCOREPATH_TRACEBACK", "1")
    assert advise("late.py", "--noise-levels", "1.0") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cosin"], "there is no environment family 'cosin', and no such entry of config.yaml. Did you mean 'cosine'?"),
        (["cosine", "frequancy=3"], "Did you mean 'frequency'?"),
        (["cosine", "--policy", "mpl"], "there is no policy 'mpl'. Did you mean 'mlp'?"),
        (["cosine", "--horizon", "3"], "horizon is no knob of Cosine"),
        (["point.py", "time_step=nan"], "time_step is nan, but must be a finite number."),
        (["point.py", "--noise-levels", "0.1", "time_step=inf"], "time_step is inf, but must be a finite number."),
        (["point.py", "--horizon", "4", "time_steps=1"], "Did you mean 'time_step'?"),
        (["config.yaml"], "name one of its entries, as in `scorepath advise ENTRY --config config.yaml`"),
        (["point.py", "--html", "."], ". cannot be written: it is a folder; name a file"),
        (["point.py", "--html", "point.py/a.html"], "point.py is no folder"),
        (["point.py", "--horizon", "0"], "horizon must be at least 1, got 0"),
        (["point.py", "horizon=-3"], "horizon must be at least 1, got -3"),
        (["cosine", "--noise-levels", "-1"], "noise levels must be positive numbers"),
        (["nothing.py"], "nothing.py defines no environment"),
        (["absent.py"], "there is no file absent.py"),
        (["absent.xml"], "there is no file absent.xml"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert advise(*arguments, "--json", "a.json") == 1
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith("scorepath: ")]) == 1
    assert sentence in said[-1]
    assert not Path("a.json").exists(), "nothing is half written"
