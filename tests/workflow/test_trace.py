"""Tracing: the commands printed for a row make that row again where the results behind it are gone."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.helpers.project import Project

from scorepath.running.protocol import SOCKET
from scorepath.study.jobs import RULE_OF_TABLE

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def rows(project: Project, table: str) -> list[dict[str, str]]:
    with project.path(f"results/tables/{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def traced(project: Project, table: str, number: int) -> list[str]:
    ended = project.execute("scorepath", "trace", f"results/tables/{table}.csv", str(number))
    assert ended.status == 0, ended.output
    return ended.output.splitlines()


def result(command: str) -> str:
    """The file that a printed command makes, "" for a gather."""
    _, verb, *names = command.split()
    return {
        "reference-policies": "references/{0}/policies.npz",
        "reference": "references/{0}/sigma={1}.npz",
        "gradients": "gradients/{0}/{1}/sigma={2}.csv",
        "train": "training/{0}/{1}/sigma={2}.csv",
        "costs": "costs/{0}.csv",
    }.get(verb, "").format(*names)


PLACES = {"environment": "swing", "sigma": "0.5"}
CHOSEN: dict[str, list[dict[str, str]]] = {
    "cells": [PLACES | {"estimator": "inverse_variance"}, {"stage": "training", "estimator": "pathwise"}],
    "references": [PLACES],
    "gradient_statistics": [PLACES | {"estimator": "leave_one_out", "checkpoint": "0.5"}],
    "training": [{"estimator": "pathwise", "iteration": "4"}],
    "verdicts": [
        PLACES | {"comparison": "pathwise_vs_reinforce", "criterion": "equal_steps"},
        PLACES | {"comparison": "pathwise_vs_best_score_function", "criterion": "equal_samples"},
        {"environment": "lqr", "criterion": "training", "statistic": "probability_of_improvement"},
    ],
    "wins": [{"comparison": "pathwise_vs_reinforce", "by": "environment", "level": "swing"}],
    "regrets": [{"rule": "inverse_variance"}],
    "exact_curves": [{"environment": "lqr"}],
    "signals": [{"environment": "lqr", "sigma": "0.5"}],
    "landscapes": [{"environment": "lqr", "sigma": "0.5", "checkpoint": "0.5"}],
    "trajectories": [{"environment": "swing", "quantity": "action", "step": "1"}],
    "probes": [{"environment": "lqr", "sigma": "0.5"}],
    "claims": [{}],
    "student_theorem": [{"state": "2", "step": "1"}],
}


@pytest.fixture(scope="module")
def worker(computed: Project) -> Iterator[str]:
    """A warm worker's socket: what is tested is which commands there are, not that each can import everything."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env=computed.environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    yield owner.stdout.readline().strip()
    owner.communicate()  # its input ends, and it, and the worker


OWNER = """
import os, sys
from scorepath.running.launch import start_worker
from scorepath.running.protocol import SOCKET
assert start_worker(1)
print(os.environ[SOCKET], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("table", CHOSEN)
def test_the_commands_make_the_row_again(
    finished: Project, worker: str, table: str, base_config: dict[str, Any]
) -> None:
    if table == "claims":  # the small study can judge none
        finished.configure(environments=[{"name": "edge", "family": "step", "edge": 0.1}, *base_config["environments"]])
        ended = finished.run("results/tables/claims.csv")
        assert ended.status == 0, ended.output
    for wanted in CHOSEN[table]:
        before = rows(finished, table)
        number = next(i for i, row in enumerate(before, 1) if wanted.items() <= row.items())
        commands = traced(finished, table, number)
        made = [path for command in commands if not command.startswith("#") and (path := result(command))]
        for path in made:
            finished.path(f"results/{path}").unlink()
        finished.path(f"results/tables/{table}.csv").unlink()
        ended = finished.execute("env", f"{SOCKET}={worker}", "bash", "-ec", "\n".join(commands))
        assert ended.status == 0, ended.output
        assert rows(finished, table)[number - 1] == before[number - 1], commands
        assert all(finished.path(f"results/{path}").is_file() for path in made)


def test_a_rows_commands_are_those_of_its_results_alone(finished: Project) -> None:
    wanted = PLACES | {"comparison": "pathwise_vs_reinforce", "criterion": "equal_samples", "checkpoint": "0"}
    number = next(i for i, row in enumerate(rows(finished, "verdicts"), 1) if wanted.items() <= row.items())
    *commands, remark = traced(finished, "verdicts", number)
    assert commands == [
        "scorepath reference-policies swing",
        "scorepath reference swing 0.5",
        "scorepath gradients swing reinforce 0.5",
        "scorepath gradients swing pathwise 0.5",
        "scorepath tables",
    ]
    assert remark.startswith("#")


def test_timings_are_traced_too(finished: Project) -> None:
    assert traced(finished, "costs", 1) == [
        "scorepath reference-policies cosine",
        "scorepath costs cosine",
        "scorepath cost-tables",
    ]
    for number in (1, len(rows(finished, "verdicts_compute"))):
        assert traced(finished, "verdicts_compute", number)[-3:-1] == [
            f"scorepath costs {rows(finished, 'verdicts_compute')[number - 1]['environment']}",
            "scorepath cost-tables",
        ]


def test_every_table_can_be_traced(finished: Project) -> None:
    tables = {path.stem for path in finished.path("results/tables").glob("*.csv")}
    assert tables == RULE_OF_TABLE.keys()


def test_what_cannot_be_traced_is_said_in_one_sentence(finished: Project) -> None:
    for arguments, words in {
        ("nothing", "1"): "there is no table 'nothing'; choose one of cells,",
        ("results/tables/cells.csv", "0"): "has rows 1 to",
        ("cells.csv", "99999"): "has rows 1 to",
    }.items():
        ended = finished.execute("scorepath", "trace", *arguments)
        assert (ended.status, len(ended.output.splitlines())) == (1, 1), ended.output
        assert words in ended.output
