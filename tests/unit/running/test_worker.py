"""The warm worker: jobs come back with their output and status, and nothing outlives its owner.

It serves a small job function in a process of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.processes import PATIENCE, alive, mentioning, until

from scorepath.cli.main import SIGKILLED
from scorepath.running.protocol import SOCKET

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
SERVER = """
import os, select, socket, sys, time, warnings
from scorepath.running.worker import Jobs, serve, vanguard

def job(arguments):
    what, *rest = arguments
    if what in ("echo", "train"):
        print("out", *rest)
        print("err", os.getcwd(), file=sys.stderr)
        return 0
    if what in ("process", "gradients"):
        warnings.warn("said in each job")
        print(os.getpid())
        return int(rest[0]) if rest else 0
    if what == "status":
        return int(rest[0])
    if what == "raise":
        raise RuntimeError("something broke")
    if what == "exit":
        sys.exit(int(rest[0]))
    if what == "usage":
        sys.exit("a sentence")
    if what == "large":
        print("x" * 1_000_000)
        return 0
    if what == "sleep":
        with open(rest[0] + ".part", "w") as file:
            file.write(str(os.getpid()))
        os.rename(rest[0] + ".part", rest[0])
        time.sleep(60)
    return 0

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + ".part")
listener.listen(64)
os.rename(sys.argv[1] + ".part", sys.argv[1])
jobs = Jobs(job, lambda command: command != "plan", lambda command: command in ("gradients", "train"))
owned, hands = int(sys.argv[2]), int(sys.argv[3])
if len(sys.argv) > 4:  # imports that take until a file is there
    with vanguard(listener, owned, jobs, hands):
        while not os.path.exists(sys.argv[4]) and not select.select([owned], [], [], 0.01)[0]:
            pass
serve(listener, [owned], jobs, hands)
"""
CLIENT = "import sys; from scorepath.cli.main import delegate; sys.exit(delegate(sys.argv[1:]))"
OWNER = """
import os, subprocess, sys, time
owned, owner = os.pipe()
server = [sys.executable, "-c", sys.argv[1], sys.argv[2], str(owned), "2", *sys.argv[3:]]
subprocess.Popen(server, pass_fds=[owned], start_new_session=True)
os.close(owned)
time.sleep(60)
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A socket's path; whatever process still mentions it in the end is a failure, and is ended."""
    path = str(tmp_path / "worker")
    yield path
    deadline = time.monotonic() + PATIENCE
    while (left := mentioning(path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left, "processes were left running"


@pytest.fixture
def server(address: str, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that lives until the test is over; its parameter is how many jobs it runs at a time."""
    owned, owner = os.pipe()
    hands = str(getattr(request, "param", 2))
    process = subprocess.Popen([sys.executable, "-c", SERVER, address, str(owned), hands], pass_fds=[owned])
    os.close(owned)
    until(lambda: Path(address).exists(), "the socket")
    yield process
    os.close(owner)
    assert process.wait(PATIENCE) == 0


def ask(address: str, *arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, SOCKET: address}
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, *arguments],
        env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def outcome(address: str, *arguments: str, folder: Path | None = None) -> tuple[int, str, str]:
    process = ask(address, *arguments, folder=folder)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def sleeping(address: str, pid_file: Path) -> tuple[subprocess.Popen[str], int]:
    """A client whose job sleeps, and the process of that job."""
    process = ask(address, "sleep", str(pid_file))
    until(pid_file.exists, "the job")
    return process, int(pid_file.read_text())


def test_a_job_writes_to_its_client_and_runs_in_its_folder(
    address: str, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert outcome(address, "echo", "a b", "ü", folder=folder) == (0, "out a b ü\n", f"err {folder}\n")
    assert outcome(address, "large")[1] == "x" * 1_000_000 + "\n"


@pytest.mark.parametrize("status", [0, 1, 2, 137])
def test_the_exit_status_is_the_jobs(address: str, server: subprocess.Popen[bytes], status: int) -> None:
    assert outcome(address, "status", str(status)) == (status, "", "")
    assert outcome(address, "exit", str(status))[0] == status


def test_an_error_is_told_to_the_client_and_ends_nothing_else(address: str, server: subprocess.Popen[bytes]) -> None:
    status, out, err = outcome(address, "raise")
    assert (status, out) == (1, "")
    assert "RuntimeError: something broke" in err
    assert outcome(address, "usage")[0] == 1
    assert outcome(address, "echo")[0] == 0


def test_jobs_run_side_by_side(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process, _ = sleeping(address, tmp_path / "pid")
    assert outcome(address, "echo")[0] == 0
    process.kill()
    process.communicate()


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_job_too_many_waits_for_its_turn(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    first, job = sleeping(address, tmp_path / "first")
    second = ask(address, "echo", "late")
    given_up = ask(address, "sleep", str(tmp_path / "never"))
    time.sleep(0.5)
    assert second.poll() is None
    given_up.kill()
    first.kill()
    out, _ = second.communicate(timeout=PATIENCE)
    assert (second.returncode, out) == (0, "out late\n")
    for process in (given_up, first):  # whose output the worker holds as long as they wait
        process.communicate(timeout=PATIENCE)
    assert not alive(job)
    assert outcome(address, "echo")[0] == 0, "one that went away while it waited keeps no place"


@pytest.mark.parametrize("server", [1], indirect=True)
def test_cells_share_a_process_until_one_fails(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    first, second = outcome(address, "gradients"), outcome(address, "gradients")
    assert first[1] == second[1]
    assert "said in each job" in first[2]
    assert "said in each job" in second[2]
    failed = outcome(address, "gradients", "3")
    assert failed[:2] == (3, first[1])
    assert outcome(address, "gradients")[1] != first[1]


@pytest.mark.parametrize("server", [1], indirect=True)
def test_other_jobs_have_a_process_of_their_own(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert len({outcome(address, "process")[1] for _ in range(3)}) == 3


@pytest.mark.parametrize("server", [1], indirect=True)
def test_what_is_no_job_is_left_to_whoever_asked(address: str, server: subprocess.Popen[bytes]) -> None:
    """And costs no process: the hand that declined takes the next job."""
    first = outcome(address, "gradients")[1]
    assert outcome(address, "plan") == (0, "", ""), "sys.exit(None): the client runs it itself"
    assert outcome(address, "gradients")[1] == first


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_cell_lets_go_of_its_clients_files(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Or whoever reads a job's output by a pipe would wait for the end of the hand."""
    process = ask(address, "train")
    assert process.communicate(timeout=PATIENCE)[0] == "out\n"


def test_a_killed_clients_job_is_killed(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process, job = sleeping(address, tmp_path / "pid")
    process.kill()
    process.communicate()
    until(lambda: not alive(job), "the end of the job")
    assert outcome(address, "echo")[0] == 0


def test_a_killed_job_is_told_to_its_client(address: str, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process, job = sleeping(address, tmp_path / "pid")
    os.kill(job, signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == SIGKILLED
    assert "out of memory?" in err


def test_a_killed_job_is_told_to_its_client_while_later_jobs_go_on(
    address: str, server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    first, first_job = sleeping(address, tmp_path / "first")
    second, second_job = sleeping(address, tmp_path / "second")
    os.kill(first_job, signal.SIGKILL)
    try:
        first.communicate(timeout=PATIENCE)
        assert first.returncode == SIGKILLED
        assert alive(second_job)
        assert second.poll() is None
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    until(lambda: not alive(second_job), "the end of the other job")


def test_a_worker_and_its_jobs_end_when_its_owner_is_killed(address: str, tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, SERVER, address])
    until(lambda: Path(address).exists(), "the socket")
    process, job = sleeping(address, tmp_path / "pid")
    serving = [each for each in mentioning(address) if each not in (owner.pid, process.pid, job)]
    assert serving
    owner.kill()
    owner.wait()
    until(lambda: not any(map(alive, serving)), "the end of the worker")
    until(lambda: not alive(job), "the end of the job")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == SIGKILLED


def test_a_vanguard_serves_meanwhile_and_ends_with_the_jobs_that_it_has(address: str, tmp_path: Path) -> None:
    imported = tmp_path / "imported"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, SERVER, address, str(imported)])
    until(lambda: Path(address).exists(), "the socket")
    early = {outcome(address, "gradients")[1] for _ in range(2)}
    process, job = sleeping(address, tmp_path / "pid")
    imported.touch()
    until(lambda: len(early | {outcome(address, "gradients")[1]}) > len(early), "the relief")
    time.sleep(0.2)
    assert alive(job), "a job that runs is not cut off"
    late = {outcome(address, "gradients")[1] for _ in range(4)}
    assert not early & late
    process.kill()
    process.communicate()
    until(lambda: not alive(job), "the end of the job")
    owner.kill()
    owner.wait()


@pytest.mark.parametrize("victim", ["owner", "worker"])
def test_a_vanguard_does_not_outlive_owner_or_worker(address: str, tmp_path: Path, victim: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, SERVER, address, str(tmp_path / "never")])
    until(lambda: Path(address).exists(), "the socket")
    assert outcome(address, "echo")[0] == 0
    serving = [each for each in mentioning(address) if each != owner.pid]
    os.kill(owner.pid if victim == "owner" else min(serving), signal.SIGKILL)
    until(lambda: not any(map(alive, serving)), "the end of the vanguard and its hands")
    owner.kill()
    owner.wait()


def test_a_killed_workers_jobs_go_on_and_end_with_their_clients(address: str, tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, SERVER, address])
    until(lambda: Path(address).exists(), "the socket")
    process, job = sleeping(address, tmp_path / "pid")
    for worker in [each for each in mentioning(address) if each not in (owner.pid, process.pid, job)]:
        os.kill(worker, signal.SIGKILL)
    time.sleep(0.2)
    assert alive(job)
    waiting = ask(address, "status", "3")
    process.kill()
    process.communicate()
    until(lambda: not alive(job), "the end of the job")
    # sys.exit(None): there is no worker any more, and the client runs the job itself
    assert waiting.wait(PATIENCE) == 0
    owner.kill()
    owner.wait()


def test_a_job_asked_of_a_worker_that_dies_before_it_hears_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early jobs wait for the worker's imports, during which it may be killed."""
    path = str(tmp_path / "worker")
    monkeypatch.setenv(SOCKET, path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        waiting = ask(path, "echo")
        time.sleep(0.5)
        assert waiting.poll() is None
    # sys.exit(None): there was no worker, and the client runs the job itself
    assert waiting.wait(PATIENCE) == 0


def test_a_client_that_says_nothing_does_no_harm(address: str, server: subprocess.Popen[bytes]) -> None:
    """Killed between connecting and asking."""
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(address)
    assert outcome(address, "echo")[0] == 0
