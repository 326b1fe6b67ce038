"""The progress display on a real terminal: a pseudo-terminal, whose screen an emulator keeps."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing, suppress
from pathlib import Path

import pyte
import pytest
from tests.helpers.project import ROOT

PROFILE = ROOT / "profiles/default/profile.v9+.yaml"
SNAKEFILE = """
rule all:
    input:
        expand("out/{cell}.txt", cell=[str(n) for n in range(8)] + (["bad"] if config.get("failing") else [])),


rule cell:
    output:
        "out/{cell}.txt",
    log:
        "logs/{cell}.log",
    shell:
        "if [ {wildcards.cell} = bad ]; then printf 'no such\\\\tknob' >> {log}; exit 3; fi; sleep 0.4; touch {output}"
"""

pytestmark = pytest.mark.workflow


class Terminal:
    """Snakemake on a terminal, and what the screen shows."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80, **variables: str) -> None:
        self.screen = pyte.HistoryScreen(columns, 40)
        self.stream = pyte.ByteStream(self.screen)
        self.output = b""
        self.ours, theirs = pty.openpty()
        self.resize(columns)
        environment = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            # a test run that was started in the background ignores SIGINT, and its children would too
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env=environment | {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color"} | variables,
        )  # fmt: skip
        os.close(theirs)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.screen.resize(40, columns)

    def read(self, seconds: float) -> bool:
        """Read what comes within so many seconds; whether more may come."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        data = b""
        with suppress(OSError):  # nobody writes any more
            data = os.read(self.ours, 1 << 16)
        self.output += data
        self.stream.feed(data)
        return bool(data)

    def wait_for(self, text: str) -> str:
        """Read until the screen shows a text."""
        deadline = time.monotonic() + 30
        while text not in self.shown and time.monotonic() < deadline:
            assert self.read(0.1), self.shown
        assert text in self.shown
        return self.shown

    def ended(self) -> int:
        """Read to the end."""
        while self.read(30):
            pass
        return self.process.wait(timeout=30)

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.ours)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "profiles/default").mkdir(parents=True)
    (tmp_path / "profiles/default" / PROFILE.name).write_text(PROFILE.read_text())
    return tmp_path


def test_a_run_with_a_failure(folder: Path) -> None:
    with closing(Terminal(folder, "--config", "failing=true")) as terminal:
        shown = terminal.wait_for("all jobs")
        assert re.search(r"\d s so far \| (about \d+ s left \(..:..\)|time left unknown)", shown)
        assert re.search(r"running: cell \w+", shown)
        assert re.search(r"all jobs ━+[╸╺ ]?━* +\d+/10", shown)
        terminal.resize(40)
        terminal.wait_for("FAILED: cell")
        terminal.resize(80)
        assert terminal.ended() == 1
        shown = terminal.shown
        assert shown.count("FAILED: cell (cell=bad)") == 1
        assert "  | no such" in shown
        assert "by hand: if [ bad = bad ]" in shown
        assert re.search(r"Stopped after \d+ s: 8 of 10 jobs done, 1 failed, 1 not run\.", shown)
        assert "so far" not in shown[shown.index("Stopped after") :]
        assert not terminal.screen.cursor.hidden
        assert b"\x1b[31m" in terminal.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_the_terminal_is_left_sane(folder: Path, number: signal.Signals) -> None:
    with closing(Terminal(folder, NO_COLOR="1")) as terminal:
        terminal.wait_for("all jobs")
        os.killpg(terminal.process.pid, number)
        assert terminal.ended() != 0
        assert not terminal.screen.cursor.hidden
        assert terminal.screen.cursor.x == 0  # where the prompt comes
        assert not re.search(rb"\x1b\[3\d", terminal.output)
        if number != signal.SIGKILL:
            assert "Stopped after" in terminal.shown
            assert "all jobs" not in terminal.shown


def test_a_narrow_terminal_gets_no_broken_line(folder: Path) -> None:
    with closing(Terminal(folder, columns=40)) as terminal:
        terminal.wait_for("all jobs")
        assert terminal.ended() == 0
        assert terminal.shown.count("\n") <= 8, terminal.shown
        assert re.search(r"9 jobs done in \d+ s\.$", terminal.shown)
        assert "━" not in terminal.shown


def test_a_dumb_terminal_gets_lines(folder: Path) -> None:
    with closing(Terminal(folder, "--logger-scorepath-interval", "1", TERM="dumb")) as terminal:
        assert terminal.ended() == 0
        assert b"\x1b" not in terminal.output
        assert re.search(rb"\d+ of 9 jobs \(\d+ %\) \| cell \d+/8 \| \d+ s so far \| ", terminal.output)
