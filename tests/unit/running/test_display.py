"""What a terminal shows, at several sizes."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from scorepath.running.display import picture
from scorepath.running.progress import Progress, Running

TOTALS = {"reference_policies": 21, "gradients": 1150, "tables": 1, "all": 1}
CELL = ("a_rather_long_environment", "an_estimator_with_a_name", "0.03")


def under_way(cells_running: int = 3) -> Progress:
    progress = Progress(started=0.0, totals=TOTALS, total=1173, cores=2)
    progress.remember({"gradients": {(str(n),): 1.0 for n in range(1150)}})
    for jobid in range(21):
        progress.start(jobid, Running("reference_policies", {"environment": str(jobid)}, 1, 0.0))
        progress.finish(jobid, 2.0)
    for jobid in range(cells_running):
        cell = dict(zip(("environment", "estimator", "sigma"), CELL, strict=True))
        progress.start(100 + jobid, Running("gradients", cell, 1, 3.0))
    return progress


def drawn(progress: Progress, width: int, height: int = 30, colour: bool = True) -> str:
    """The picture as a terminal of this size gets it."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, no_color=not colour, width=width, height=height, record=True, highlight=False
    )
    console.print(picture(progress, 3723.0, console))
    return console.export_text() if colour else file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_picture_fits_its_terminal(width: int) -> None:
    lines = drawn(under_way(), width).splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    assert "1 h 02 min so far | about " in text
    assert "running: gradients a_rather_long" in text
    bars = {re.split("[━╸]", line)[0].strip(): line.split()[-1] for line in lines if "━" in line}
    assert bars == {"all jobs": "21/1173", "reference_policies": "21/21", "gradients": "0/1150"}
    assert lines[-1].strip() == ""  # where the cursor rests
    assert len(lines) <= 7 if width == 40 else len(lines) == 6


def test_a_wider_terminal_names_more_of_what_runs() -> None:
    name = f"gradients {'/'.join(CELL)}"
    assert f"{name} and 2 more" in drawn(under_way(), 100)
    assert f"{name}, {name}, {name}\n" in "\n".join(line.rstrip() for line in drawn(under_way(), 250).splitlines())
    assert "running" not in drawn(under_way(0), 80)


def test_the_time_and_what_runs_stand_first() -> None:
    """A low terminal cuts what is below."""
    lines = drawn(under_way(), 80).splitlines()
    assert "so far" in lines[0]
    assert "running" in lines[1]
    assert "all jobs" in lines[2]


def test_failures_are_counted_and_no_colour_means_none() -> None:
    progress = under_way()
    progress.fail(100)
    text = drawn(progress, 80, colour=False)
    assert "1 FAILED | 1 h 02 min so far" in text
    assert "\x1b[3" not in text
