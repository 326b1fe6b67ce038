"""The estimate of the time left, on simulated runs of a study whose jobs differ as real ones do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from scorepath.running.progress import Jobs, Progress, Running, recorded_jobs, typical_jobs
from scorepath.store.records import Record, record_path
from scorepath.study.jobs import RULES

CORES = 2
SIZES = {"cartpole": 30.0, "pendulum": 20.0, "lqr": 4.0} | {f"quadratic_{n}": 1.0 for n in range(9)}
NAMES = ("environment", "estimator", "sigma")

Study = dict[tuple[str, ...], float]
"""Core-seconds by rule and wildcards, in the order in which Snakemake starts them: the large ones first."""


def study(scale: float = 1.0) -> Study:
    """Like the default one: many cells, the same in all of an environment, and single jobs at last."""
    jobs: Study = {("reference_policies", name): 0.2 * size for name, size in SIZES.items()}
    jobs |= {("reference", name, str(n)): 0.02 * size**1.5 for name, size in SIZES.items() for n in range(5)}
    cells = [(name, str(n), "0.1") for name in SIZES for n in range(40)]
    jobs |= {("gradients", *cell): 0.02 + 0.03 * SIZES[cell[0]] for cell in cells}
    jobs |= {("tables",): 4.0, ("figure", "bias"): 1.0, ("figure", "variance"): 1.0, ("report",): 1.0}
    return {job: scale * seconds for job, seconds in jobs.items()}


def records(jobs: Study) -> Jobs:
    found: Jobs = {}
    for (rule, *values), seconds in jobs.items():
        found.setdefault(rule, {})[tuple(values)] = seconds
    return found


@pytest.fixture(autouse=True)
def nothing_shipped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shipped" not in request.node.name:
        monkeypatch.setattr("scorepath.running.progress.typical_jobs", dict)


def begun(jobs: Study, recorded: Jobs | None = None) -> Progress:
    totals = Counter(rule for rule, *_ in jobs)
    progress = Progress(started=0.0, totals=dict(totals), total=len(jobs), cores=CORES)
    progress.remember(recorded or {})
    return progress


def running(rule: str, *values: str, at: float = 0.0) -> Running:
    return Running(rule, dict(zip(NAMES, values, strict=False)), 1, at)


def replay(jobs: Study, progress: Progress, step: float = 1.0) -> Iterator[tuple[float, float | None]]:
    """The time and the estimate, again and again; one job more than there are cores is started, and waits."""
    waiting, ends, now, asked = list(enumerate(jobs.items())), dict[int, float](), 0.0, 0.0
    while waiting or progress.running:
        while waiting and len(progress.running) <= CORES:
            jobid, ((rule, *values), _) = waiting.pop(0)
            progress.start(jobid, running(rule, *values, at=now))
        taken = list(jobs.values())
        for jobid, job in progress.running.items():
            if job.began is not None:
                ends.setdefault(jobid, job.began + taken[jobid])
        first = min(ends, key=ends.__getitem__)
        while asked < ends[first]:
            yield asked, progress.remaining(asked)
            asked += step
        now = ends.pop(first)
        progress.finish(first, now)
    yield now, 0.0


def errors(jobs: Study, recorded: Jobs | None = None) -> Mapping[float, float | None]:
    """By how much the estimate is wrong after a quarter, half and three quarters of a run, as shares of the run."""
    *told, (end, _) = replay(jobs, begun(jobs, recorded))
    found: dict[float, float | None] = {}
    for share in (0.25, 0.5, 0.75):
        now, left = min(told, key=lambda pair: abs(pair[0] - share * end))
        found[share] = None if left is None else (left - (end - now)) / end
    return found


def test_with_records_the_estimate_is_right_from_the_start() -> None:
    jobs = study()
    _, first = next(replay(jobs, begun(jobs, records(jobs))))
    assert first == pytest.approx(sum(jobs.values()) / CORES)
    for error in errors(jobs, records(jobs)).values():
        assert error == pytest.approx(0, abs=0.06)


def test_it_learns_that_records_are_of_a_faster_machine() -> None:
    found = errors(study(3.0), records(study()))
    assert found[0.75] == pytest.approx(0, abs=0.15)
    assert abs(found[0.75] or 1) < abs(found[0.25] or 0)


def test_without_records_it_is_unknown_and_then_of_the_right_size() -> None:
    """When a tenth of the cells are done these are the largest: their mean would be several times too large."""
    found = errors(study())
    assert found[0.25] is None
    assert found[0.5] == pytest.approx(0, abs=0.2)
    assert found[0.75] == pytest.approx(0, abs=0.15)


def test_the_default_study_needs_no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jobs' places are known from the first on; a study of another size is told nothing of them."""
    jobs = study()
    monkeypatch.setattr("scorepath.running.progress.typical_jobs", lambda: records(jobs))
    _, first = next(replay(study(2.0), begun(study(2.0))))
    assert first is not None
    assert errors(study(2.0))[0.5] == pytest.approx(0, abs=0.2)
    other: Study = {("gradients", name, str(n), "1"): 1.0 for name in SIZES for n in range(9)}
    _, first = next(replay(other, begun(other)))
    assert first is None


def test_what_is_shipped_of_the_default_study_names_its_rules_and_environments() -> None:
    shipped = typical_jobs()
    assert (
        {"gradients", "reference", "reference_policies", "train", "tables", "figure"} <= shipped.keys() <= RULES.keys()
    )
    assert all(seconds >= 0 for found in shipped.values() for seconds in found.values())
    assert ("cartpole", "0") in shipped["gradients"]
    assert () in shipped["tables"]


def test_records_of_a_smaller_study_tell_nothing() -> None:
    small = records({job: seconds for job, seconds in study(0.1).items() if job[1:2] == ("quadratic_0",)})
    _, first = next(replay(study(), begun(study(), small)))
    assert first is None


def test_records_of_some_noise_levels_serve_for_another() -> None:
    """What runs is none of what is recorded, but its environments are."""
    recorded = records(study())
    new: Study = {
        ("gradients", name, str(n), "1"): 0.02 + 0.03 * size for name, size in SIZES.items() for n in range(9)
    }
    progress = begun(new, recorded)
    progress.start(0, running("gradients", "cartpole", "0", "1"))
    assert progress.durations.job("gradients", ("cartpole", "0", "1")) == pytest.approx(0.92)
    assert progress.remaining(0.0) is not None


@pytest.mark.parametrize("recorded", [False, True])
def test_five_minutes_in_one_job_give_no_number_that_stands_still(recorded: bool) -> None:
    jobs = study()
    progress = begun(jobs, records(jobs) if recorded else None)
    for jobid, name in enumerate(name for name in SIZES if name != "cartpole"):
        progress.start(jobid, running("reference_policies", name))
        progress.finish(jobid, 0.1 * jobid)
    progress.start(99, running("reference_policies", "cartpole", at=1.0))
    told = [progress.remaining(float(now)) for now in range(20, 300, 10)]
    if recorded:
        known = [left for left in told if left is not None]
        assert len(known) == len(told)
        assert all(later > sooner for sooner, later in pairwise(known))
        assert known[-1] > 250  # it has taken so much longer than expected that it may need as long again
    else:
        assert told == [None] * len(told)
        assert "time left unknown" in progress.status(300.0)
    for now in range(20, 300, 10):
        assert "at least" not in progress.status(float(now))


def test_a_few_jobs_of_unknown_kinds_count_like_the_others() -> None:
    progress = Progress(started=0.0, totals={"cell": 12, "report": 1}, total=13, cores=2)
    assert progress.remaining(0.0) is None
    for jobid in range(2):
        progress.start(jobid, running("cell", str(jobid)))
        progress.finish(jobid, 4.0)
    assert progress.remaining(4.0) == pytest.approx((10 + 1) * 4 / 2)
    progress.start(2, running("cell", "0.3", at=4.0))
    line = progress.status(7.0)
    assert line.startswith("2 of 13 jobs (15 %) | cell 2/12 | 7 s so far | about ")
    assert line.endswith("running: cell 0.3")


def test_many_jobs_of_an_unknown_kind_make_it_unknown() -> None:
    progress = Progress(started=0.0, totals={"cell": 2, "training": 500}, total=502, cores=2)
    progress.start(0, running("cell", "0"))
    progress.finish(0, 4.0)
    assert progress.remaining(4.0) is None
    assert " | time left unknown" in progress.status(4.0)


def test_it_is_unknown_while_nothing_but_an_unknown_kind_runs() -> None:
    progress = Progress(started=0.0, totals={"cell": 1, "tables": 1, "report": 1}, total=3, cores=2)
    progress.start(0, running("cell", "0"))
    progress.finish(0, 4.0)
    progress.start(1, running("tables", at=4.0))
    assert progress.remaining(5.0) is None


def test_a_job_that_waits_in_the_worker_takes_no_time() -> None:
    progress = Progress(started=0.0, totals={"cell": 5}, total=5, cores=2)
    for jobid in range(3):
        progress.start(jobid, running("cell", str(jobid)))
    progress.finish(0, 10.0)
    progress.finish(2, 11.0)
    assert progress.durations.here["cell"] == {("0",): 10.0, ("2",): 1.0}


def test_failed_jobs_are_waited_for_no_longer() -> None:
    progress = Progress(started=0.0, totals={"cell": 3}, total=3, cores=1)
    progress.start(0, running("cell", "0"))
    progress.finish(0, 2.0)
    progress.start(1, running("cell", "1", at=2.0))
    failed = progress.fail(1)
    assert failed is not None
    assert str(failed) == "cell 1"
    assert progress.remaining(3.0) == pytest.approx(2.0)
    assert "1 FAILED" in progress.status(3.0)


def test_a_long_job_is_not_shared_among_cores() -> None:
    progress = begun({("tables",): 30.0, ("figure", "bias"): 1.0}, {"tables": {(): 30.0}, "figure": {("bias",): 1.0}})
    progress.start(0, running("tables"))
    assert progress.remaining(10.0) == pytest.approx(20.0)


def test_records_are_read_but_for_damaged_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recorded_jobs() == {}
    for number, command in enumerate(("reference-policies lqr", "gradients lqr pathwise 0.1", "tables", "tables")):
        path = record_path(Path(f"results/anywhere/{number}.csv"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(Record(str(number), "", f"scorepath {command}", "", "", 2.5, 1, {}))))
    path.with_name("damaged.json").write_text('{"file": ')
    path.with_name("odd.json").write_text(
        json.dumps(asdict(Record("", "", "tables", "", "", 1.0, 1, {})) | {"command": 5})
    )
    expected = {"reference_policies": ("lqr",), "gradients": ("lqr", "pathwise", "0.1"), "tables": ()}
    assert recorded_jobs() == {rule: {values: 2.5} for rule, values in expected.items()}
