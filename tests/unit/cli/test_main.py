"""Without a worker a job is run by whoever asks."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from scorepath.cli.main import delegate
from scorepath.running.protocol import SOCKET


@pytest.mark.parametrize("address", [None, "", "/nonexistent/worker"])
def test_without_a_worker_there_is_no_answer(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv(SOCKET, raising=False)
    else:
        monkeypatch.setenv(SOCKET, address)
    assert delegate(["gradients", "a", "b", "1"]) is None


def test_an_abandoned_socket_is_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "worker")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    monkeypatch.setenv(SOCKET, path)
    assert delegate(["echo"]) is None
