"""Whose error it is: what a person can mend is told as such, all else names a plugin or is a fault in Scorepath."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.small_studies import small_plan

from scorepath import registry
from scorepath.cli.faults import FAULT, MISTAKE, Explanation, explain
from scorepath.running.errors import log_tail
from scorepath.store.paths import PACKAGE, PLAN

OURS = PACKAGE / "figures" / "identity.py"
PLUGIN = """
import json
from dataclasses import dataclass

import torch

from scorepath.environments.base import Environment, require_positive


@dataclass(frozen=True, kw_only=True)
class Thing(Environment):
    source = "own"
    reference_class = "closed_form"
    size: float = 1.0

    def fault(self): return {}["level"]
    def odd(self): raise ValueError("odd")
    def gone(self): return open("nowhere")
    def numerical(self): return torch.zeros(2) @ torch.zeros(3)
    def library(self): return json.loads("{")

    def checked(self):
        require_positive(self, "size")
"""


def caught(function: Callable[[], object]) -> Explanation:
    """What is said of the exception that a function ends with; no frame of this test is in its traceback."""
    try:
        function()
    except Exception as error:
        here = error.__traceback__
        return explain(error.with_traceback(here and here.tb_next))
    raise AssertionError("nothing was raised")


def as_if_in(path: Path, line: str, **names: object) -> Explanation:
    """What is said of an error that this line of code raises as the third one of a file."""
    names["__name__"] = "whatever"
    exec(compile(f"\n\ndef function(): {line}", str(path), "exec"), names)
    function: Any = names["function"]
    return caught(function)


@pytest.fixture
def thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A plugin's class; the plugin lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thing.py").write_text(PLUGIN)
    yield registry.load_plugin(Path("thing.py"))[1]
    for name in [name for name in sys.modules if name.startswith("scorepath_plugin_thing")]:
        del sys.modules[name]


# --- mistakes, which a person can mend --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda: small_plan(["relu"]).cell("gradients", "relu", "magic", 0.1), "the study has no gradients cell"),
        (lambda: registry.load(registry.ESTIMATORS, "magic"), "there is no 'magic' among the modules"),
        (lambda: small_plan(["step"], noise_levels=[-1]), "noise_levels[0] is -1.0, but must not be negative."),
    ],
    ids=["LookupError", "another LookupError", "ConfigError"],
)
def test_what_is_raised_on_purpose_is_its_sentence(function: Callable[[], object], sentence: str) -> None:
    said = caught(function)
    assert said.sentence.startswith(sentence)
    assert (said.status, said.foreseen) == (MISTAKE, True)


def test_an_error_of_the_systems_is_its_sentence() -> None:
    said = as_if_in(OURS, "open('nowhere/at/all')")
    assert said == Explanation("[Errno 2] No such file or directory: 'nowhere/at/all'", MISTAKE, True)


# --- faults in Scorepath ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{}['reinforce']", "KeyError: 'reinforce'"),
        ("raise KeyError('reinforce')", "KeyError: 'reinforce'"),
        ("[][0]", "IndexError: list index out of range"),
        ("None.nothing", "AttributeError: 'NoneType' object has no attribute 'nothing'"),
        ("len(3)", "TypeError: object of type 'int' has no len()"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("math.log(0)", "ValueError: math domain error"),
        ("np.reshape([1, 2], (3, -1))", "ValueError: cannot reshape array of size 2 into shape (3,newaxis)"),
        ("int('many')", "ValueError: invalid literal for int() with base 10: 'many'"),
        ("torch.zeros(2) @ torch.zeros(3)", "RuntimeError: inconsistent tensor size"),
        ("raise NotImplementedError", "NotImplementedError"),
        ("next(iter([]))", "StopIteration"),
        ("import scorepath.nowhere", "ModuleNotFoundError: No module named 'scorepath.nowhere'"),
    ],
)
def test_all_else_is_a_fault_with_its_place(line: str, text: str) -> None:
    said = as_if_in(OURS, line, math=math, np=np, torch=torch)
    assert said.sentence.startswith(f"a fault in Scorepath, not in your study: {text}"), said.sentence
    assert "(in figures/identity.py, line 3). Please report it with " in said.sentence
    assert said.sentence.endswith(" and the configuration to the project's issue tracker.")
    assert (said.status, said.foreseen) == (FAULT, False)


def test_a_long_message_is_cut_and_stands_on_one_line() -> None:
    said = as_if_in(OURS, "raise RuntimeError('many\\nwords ' * 1000)")
    assert "RuntimeError: many words many words" in said.sentence
    assert len(said.sentence) < 700


def test_too_little_memory_and_a_missing_library_are_no_faults() -> None:
    for line, words in (
        ("raise MemoryError", "this needs more memory than there is: MemoryError"),
        ('raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")', "this needs more memory than there is"),
        ("import no_such_library", "this installation is not complete: ModuleNotFoundError"),
    ):
        said = as_if_in(OURS, line)
        assert said.sentence.startswith(words)
        assert said.status == MISTAKE


# --- errors in plugins ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("fault", "KeyError: 'level'"),
        ("odd", "ValueError: odd"),
        ("gone", "FileNotFoundError: [Errno 2] No such file or directory: 'nowhere'"),
        ("numerical", "RuntimeError: inconsistent tensor size"),
        ("library", "JSONDecodeError: Expecting property name"),
    ],
)
def test_an_error_in_a_plugin_names_its_file_and_line(method: str, text: str, thing: Callable[..., Any]) -> None:
    """Also where a library that it calls has raised it."""
    said = caught(getattr(thing(), method))
    line = next(number for number, line in enumerate(PLUGIN.splitlines(), 1) if f"def {method}(" in line)
    assert said.sentence.startswith(f"an error in your plugin thing.py, line {line}: {text}"), said.sentence
    assert "Scorepath" not in said.sentence
    assert (said.status, said.foreseen) == (MISTAKE, False)


def test_a_knob_that_a_plugin_has_refused_is_told_as_such(thing: Callable[..., Any]) -> None:
    assert caught(lambda: thing(size=-1.0).checked()).sentence == "size must be positive, got -1.0"


def test_an_error_at_work_with_a_plugin_leaves_open_whose_it_is(thing: Callable[..., Any]) -> None:
    """Autograd's errors about a plugin's step come without a line of the plugin."""
    said = as_if_in(
        OURS, "instance = thing(); torch.autograd.grad(torch.zeros(1), torch.zeros(1))", thing=thing, torch=torch
    )
    assert said.sentence.startswith("RuntimeError: element 0 of tensors does not require grad")
    assert "(in figures/identity.py, line 3), at work with your plugin thing.py" in said.sentence
    assert "`scorepath check thing.py`" in said.sentence
    assert said.status == MISTAKE


# --- commands and logs ------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, log: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with its output in a log or to be looked at."""
    code = f"import sys; from scorepath.cli.commands import run_here; sys.exit(run_here({list(arguments)}))"
    command = [sys.executable, "-c", code]
    if log is None:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    with log.open("w") as file:
        return subprocess.run(command, cwd=folder, stdout=file, stderr=file, text=True, check=False)


def broken(folder: Path) -> Path:
    """A folder whose study's plan leads to a KeyError."""
    plan = small_plan(["relu"])
    plan.config["environments"][0].pop("family")
    plan.save(folder / PLAN)
    return folder


def test_a_fault_ends_a_log_with_its_sentence_below_the_traceback(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    ended = run(broken(tmp_path), "tables", log=log)
    lines = log.read_text().splitlines()
    assert ended.returncode == FAULT
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("scorepath: a fault in Scorepath, not in your study: TypeError: ")
    assert "Please report it with job.log and the configuration" in lines[-1]
    assert log_tail([str(log)]) == lines[-1:]


def test_by_hand_the_lines_above_are_what_is_to_be_reported(tmp_path: Path) -> None:
    ended = run(broken(tmp_path), "tables")
    assert ended.returncode == FAULT
    assert "Please report it with all lines of this message" in ended.stderr.splitlines()[-1]
    assert "Traceback" in ended.stderr


def test_a_mistake_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    ended = run(tmp_path, "tables")
    assert ended.returncode == MISTAKE
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"scorepath: {PLAN} does not exist yet")
    ended = run(tmp_path, "verify", "--cores", "many")
    assert "invalid cores value: 'many'" in ended.stderr


def test_standard_input_that_is_no_json_is_a_mistake(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scorepath", "plan", "-"]
    ended = subprocess.run(command, cwd=tmp_path, input="seed: 1", capture_output=True, text=True, check=False)
    assert ended.returncode == MISTAKE
    assert ended.stderr.startswith("scorepath: what stands on standard input is not valid JSON")
