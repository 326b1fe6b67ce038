"""Records of a made-up run, for tests of what a run took."""

from __future__ import annotations

from scorepath.store.records import Record

RUN = "2026-01-02T03:00:00.000+00:00"


def record(file: str, command: str, began: float, lasted: float, core_seconds: float, **changes: object) -> Record:
    """A job of the run, `began` seconds after 03:00."""
    moments = [f"2026-01-02T03:00:{second:06.3f}+00:00" for second in (began, began + lasted)]
    facts = {"file": file, "sha256": "", "command": command, "started": moments[0], "ended": moments[1]}
    more = {"core_seconds": core_seconds, "peak_memory": 1, "versions": {}, "run": RUN, "cores": 2}
    return Record(**(facts | more | changes))  # type: ignore[arg-type]


def records_of_a_run() -> list[Record]:
    """20 core-seconds from 03:00:10 to 03:00:20; 13 of them in numerical work, 2 in a figure."""
    return [
        record("results/plan.json", "plan", 1, 3, 3.0),
        record("results/references/a/policies.npz", "policies", 10, 2, 1.0),
        record("results/gradients/a/pathwise/sigma=1.csv", "gradients", 12, 6, 6.0),
        record("results/training/a/pathwise/sigma=1.csv", "train", 10, 4, 4.0),
        record("results/tables/cells.csv", "tables", 18, 2, 2.0),
        record("results/tables/verdicts.csv", "tables", 18, 2, 2.0),
        record("results/figures/bias.svg", "figure", 17, 3, 2.0),
    ]
