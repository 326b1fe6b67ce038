"""From a table's row back to the commands that remake what it rests on, in their order.

The last command is the gather that writes the table. It gathers every result that is there; the commands before it
are those of the one row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scorepath.store.paths import TABLES, sigma_token, table_path
from scorepath.store.records import require_intact
from scorepath.store.tables import COLUMNS
from scorepath.study.cells import DERIVATIVE_FREE, Cell, Plan
from scorepath.study.jobs import (
    RULE_OF_TABLE,
    RULES,
    Job,
    Rule,
    cell_job,
    claim_job,
    landscapes_job,
    point_job,
    policies_job,
    probes_job,
    reference_job,
    signals_job,
    sweep_job,
)

OF_PROBES = ("probes", "advisor")
OF_SWEEPS = ("phase_diagrams", "crossings")
OF_LANDSCAPES = ("landscapes", "trajectories")
SHARED = (
    "# the verdict itself, unlike the value, takes all comparisons of its criterion into account (false discoveries)"
)


def trace(plan: Plan, table: Path, number: int) -> list[str]:
    """The commands that remake what a row rests on; lines that start with # are remarks.

    Args:
        plan: the study.
        table: such as `results/tables/verdicts.csv`; its bare name will do.
        number: 1 is the first row under the header.

    Raises:
        LookupError: a table or row that does not exist.
    """
    name = table.name.removesuffix(".csv")
    if name not in RULE_OF_TABLE:
        raise LookupError(f"there is no table {name!r}; choose one of {', '.join(COLUMNS)}")
    rule = RULE_OF_TABLE[name]
    row = _row(table_path(name), number)
    commands = dict.fromkeys(job.command for job in _jobs(plan, name, row))  # each once
    before = [RULES[own].by_hand(environment=row["environment"]) for own in _measured_beside(name, rule)]
    gathers = [gather.by_hand() for gather in _gathers(rule)]
    remarks = [SHARED] if name.startswith("verdicts") or name in ("wins", "mechanisms", "roughness", *OF_PROBES) else []
    return [*commands, *before, *gathers, *remarks]


def _measured_beside(table: str, rule: Rule) -> tuple[str, ...]:
    """The rules of an environment's own results, beside cells and references, that enter a row."""
    if rule.name == "mechanisms":
        return () if table == "roughness" else ("signals",) if table == "signals" else ("costs", "signals")
    return {"cost_tables": ("costs",)}.get(rule.name, ("exact_curves",) if table == "exact_curves" else ())


def _gathers(rule: Rule) -> list[Rule]:
    """A rule that writes tables, after those that write the tables it reads."""
    read = [path.stem for path in map(Path, rule.reads) if path.is_relative_to(TABLES)]
    return [*dict.fromkeys(RULE_OF_TABLE[name] for name in read), rule]


def _row(path: Path, number: int) -> dict[str, str]:
    require_intact(path)
    if not path.is_file():
        raise LookupError(f"{path} does not exist yet; `make run` computes the study")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not 1 <= number <= len(rows):
        there = f"rows 1 to {len(rows)}" if rows else "no rows"
        raise LookupError(f"{path} has {there} under its header, and so none with the number {number}")
    return rows[number - 1]


def _jobs(plan: Plan, table: str, row: Mapping[str, str]) -> Iterator[Job]:
    """The jobs behind a row, each after those that it needs."""
    if table == "references":
        yield from _reference(row["environment"], float(row["sigma"]))
    elif table in ("costs", "exact_curves", "signals"):
        yield policies_job(row["environment"])
    elif table in OF_LANDSCAPES:
        yield from _reference(row["environment"], plan.study.landscape_level(row["environment"]))
        yield landscapes_job(row["environment"], plan.study.landscape_level(row["environment"]))
    elif table in OF_PROBES:
        # every other family's places enter a probability
        yield from (job for name in plan.study.environments for job in (policies_job(name), probes_job(name)))
    elif table == "roughness":
        yield from map(signals_job, plan.study.environments)
    elif table == "claims" and (name := row["claim"].replace("-", "_")) in plan.study.claims:
        yield claim_job(name)
        return
    elif table in OF_SWEEPS:
        sweep = plan.study.sweeps[row["sweep"]]
        yield from (point_job(sweep.name, point) for point in sweep.points)
        yield sweep_job(sweep)
    elif RULE_OF_TABLE[table].torch:
        return  # its rule computes all that it writes
    for cell in _cells(plan, table, row):
        if cell.stage == "gradients":
            yield from _reference(cell.environment, cell.sigma)
        yield cell_job(cell)


def _reference(environment: str, sigma: float) -> tuple[Job, Job]:
    return policies_job(environment), reference_job(environment, sigma)


def _cells(plan: Plan, table: str, row: Mapping[str, str]) -> list[Cell]:
    """The computed cells that a row of a table speaks of."""
    running = [cell for cell in plan.cells if cell.status == "run"]
    if table == "claims":
        named = _judged_on(row["prediction"], list(plan.study.environments))
        return [cell for cell in running if not named or (cell.environment in named and cell.stage == "gradients")]
    if table in ("references", "costs", "exact_curves", "signals", *OF_LANDSCAPES, *OF_SWEEPS):
        return []
    if table in ("roughness", *OF_PROBES):
        return [cell for cell in running if cell.stage == "gradients"]
    if table in ("wins", "regrets"):
        return [cell for cell in running if cell.stage == "gradients" and _counts(cell, row) and _takes_part(cell, row)]
    trained = table == "training" or row.get("criterion", "").startswith("training")
    stage = row.get("stage") or ("training" if trained else "gradients")
    place = stage, row["environment"], sigma_token(float(row["sigma"]))
    there = [cell for cell in running if (cell.stage, cell.environment, sigma_token(cell.sigma)) == place]
    return [cell for cell in there if _takes_part(cell, row)]


def _takes_part(cell: Cell, row: Mapping[str, str]) -> bool:
    """Whether a cell of the row's place enters its numbers."""
    if "estimator" in row:
        return cell.estimator == row["estimator"]
    if cell.stage == "training":
        return True  # returns are normalised by all that was learnt at the place
    if cell.method == "pathwise" or (cell.sigma == 0 and cell.method == "deterministic_pathwise"):
        return True
    if row["comparison"] == "pathwise_vs_reinforce":
        return cell.method == "reinforce"
    if cell.family == "mixture":
        return cell.estimator == row.get("rule")
    # the best of them is chosen
    return cell.family in (DERIVATIVE_FREE if row["comparison"].endswith("derivative_free") else ("score_function",))


def _counts(cell: Cell, row: Mapping[str, str]) -> bool:
    """Whether a cell lies where a row of a summary counts; noise level 0 has no regret."""
    match row.get("by", "regret"):
        case "sigma":
            return sigma_token(cell.sigma) == row["level"]
        case "environment":
            return cell.environment == row["level"]
        case "regret":
            return cell.sigma > 0
        case _:
            return True


def _judged_on(prediction: str, environments: list[str]) -> list[str]:
    """The environment whose cells a claim is judged on, as its prediction names it; none means all."""
    return [name for name in environments if re.search(rf"^{re.escape(name)}:| on {re.escape(name)}[: ]", prediction)]
