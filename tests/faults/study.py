"""A study that can be struck: a project folder on a disk of its own, the command that runs it, and its processes.

The disk is a small file system in memory, which can be filled up and made read-only; that needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.helpers.project import BIN, new_project

MARK = "FAULTS_OF"
"""Environment variable by which the study's processes are known, whoever their parents are."""
WORKER = "scorepath.cli.worker"
"""The module that the warm worker runs, by which its processes are known among them."""
SIZE = 64 << 20
"""Bytes of the file system while there is room."""
LONGEST = 300.0
"""Seconds after which a command is taken for hung."""

Running = subprocess.Popen[bytes]


class Failed(Exception):
    """What is not as the README promises."""


class Study:
    """A project folder on a file system of its own, if there may be one."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        """Of the very small study with some top-level keys of its configuration replaced."""
        folder.mkdir(parents=True)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.log = folder / "output.txt"
        self.mounted = self._mount("-t", "tmpfs", "-o", f"size={SIZE}", "scorepath-faults", str(self.disk))
        self.project = new_project(self.disk / "study")
        self.project.configure(**changes)

    @staticmethod
    def _mount(*arguments: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
        return False

    def path(self, name: str) -> Path:
        return self.project.path(name)

    @staticmethod
    def _require(mounted: bool) -> None:
        if not mounted:
            raise RuntimeError("the file system of the study cannot be changed")

    def resize(self, size: int) -> None:
        self._require(self._mount("-o", f"remount,size={size}", str(self.disk)))

    def fill(self, room: int) -> None:
        """Leave this many bytes of room, as the blocks allow."""
        while not self._mount("-o", f"remount,size={shutil.disk_usage(self.disk).used + room}", str(self.disk)):
            room += 4096  # the study goes on writing meanwhile

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Make the whole project read-only: it must not be at work."""
        self._require(self._mount("-o", "remount,ro", str(self.disk)))
        try:
            yield
        finally:
            self._require(self._mount("-o", "remount,rw", str(self.disk)))

    @contextlib.contextmanager
    def read_only_results(self) -> Iterator[None]:
        """Lay a read-only view over results/ and reports/: it works while files in there are open for writing."""
        # an empty one is left out: Snakemake removes it, and a place of mounting can't be removed
        folders = [self.path(name) for name in ("results", "reports")]
        places = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
        for place in places:
            self._require(self._mount("--bind", place, place))
            patience = time.monotonic() + 60
            while not self._mount("-o", "remount,bind,ro", place):  # a file that was opened since is being written
                self._require(time.monotonic() < patience)
                time.sleep(0.01)
        try:
            yield
        finally:
            for place in places:
                subprocess.run(["umount", "-l", place], check=True)

    def start(self) -> subprocess.Popen[bytes]:
        """The command of the README, as the leader of a process group."""
        # ignored where this runs in the background of a script, and handed on to the study
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.log.open("wb") as output:
            return subprocess.Popen(
                [str(BIN / "scorepath"), "run", "--cores", "2"],
                cwd=self.project.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return self.project.environment | {MARK: str(self.disk)}

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def locked(self) -> bool:
        locks = self.path(".snakemake/locks")
        return locks.is_dir() and any(locks.iterdir())

    def processes(self) -> dict[int, list[str]]:
        """All processes of the study, with their command lines."""
        found = {}
        wanted = f"{MARK}={self.disk}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (folder / "environ").read_bytes().split(b"\0"):
                        line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                        found[int(folder.name)] = line
        return found

    def workers(self) -> list[int]:
        return [pid for pid, line in self.processes().items() if WORKER in line and not self._forked(pid)]

    def hands(self) -> list[int]:
        return [pid for pid, line in self.processes().items() if WORKER in line and self._forked(pid)]

    def jobs_without_worker(self) -> list[int]:
        """Jobs as a shell starts them where there is no worker; not the shells around them."""
        return [
            pid
            for pid, line in self.processes().items()
            if len(line) > 2 and line[1].endswith("/scorepath") and line[2] != "run"
        ]

    def _forked(self, pid: int) -> bool:
        """Whether a process of the worker's has the worker for a parent."""
        with contextlib.suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            return WORKER.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()
        return False

    def clear(self) -> None:
        for name in ("results", "reports", ".snakemake"):
            shutil.rmtree(self.path(name), ignore_errors=True)

    def close(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)


def ended(process: Running) -> int:
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        raise Failed(f"the command has not ended after {LONGEST:.0f} s") from None
