"""Training against its rivals: populations of policies, and the seconds until a pendulum swings up.

    python -m benchmarks.training.compare [population] [swing_up] [figure] [--quick] [--threads 1 2]

`population`: 8 seeds x 4 learning rates of one cell, trained as one population by `scorepath.training.Trainer`, as the
same runs one after another (a sample: in every round each rate once, with one seed; its seconds are scaled to all 32
runs), and by JAX. All make the same evaluations on the way. Before anything is timed, JAX must reproduce Scorepath's
gradients from the same parameters and noise, or its time is not compared. Contestants take turns; ratios are formed
within a round; tables give medians and quartiles over rounds.

`swing_up`: seconds of training until the deterministic mean return over 64 fixed starts of Gymnasium's pendulum (200
steps, no discount) first exceeds a threshold. Evaluations stop everybody's clock. One run at a time.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import ROOT, Failure
from benchmarks.training.protocol import Contestant, Population, Race

from scorepath.store.files import write_rows

OUTPUT = ROOT / "results" / "benchmarks"
PARTS = ("population", "swing_up", "figure")
REST = 0.02
"""Seconds between turns: by then the last contestant's idle threads no longer spin."""

AGREEMENT = 1e-3
"""Largest relative difference between JAX's and Scorepath's gradients at which their times are compared."""
WAYS = {
    "Scorepath population": ("scorepath", "population"),
    "Scorepath one after another": ("scorepath", "one_after_another"),
    "JAX, compiled update": ("jax", "loop"),
    "JAX, compiled training": ("jax", "scan"),
}
OURS, *RIVALS = WAYS
TARGETS = dict(zip(RIVALS, (0.25, 1.0, 1.0), strict=True))
"""What the population's seconds must not exceed, as a fraction of each rival's."""

ENTRANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Scorepath pathwise": ("scorepath", {}),
    "JAX analytic policy gradient": ("jax", {}),
    "Stable-Baselines3 PPO": ("stable_baselines3", {}),
    "Scorepath pathwise, all 200 steps": ("scorepath", {"horizon": 200}),
}
"""Who swings up, and how it differs from `Race`'s defaults. Those were chosen beforehand, on seeds not used here, among
noise levels 0.1 and 0.5, rates 0.003 to 0.05 and horizons 50 and 100: a policy is judged over 200 steps, but
trajectories of 50 suffice to learn from. The last entrant takes the gradient of all 200."""
FIRST_SEED = 100


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    environments: tuple[str, ...] = ("pendulum", "cartpole")
    estimators: tuple[str, ...] = ("reinforce", "state_value_baseline", "pathwise")
    batch_sizes: tuple[int, ...] = (16, 64)
    horizon: int = 50
    iterations: int = 20
    seeds: int = 8
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    rounds: int = 5
    swing_up_seeds: int = 5

    def populations(self) -> Iterator[Population]:
        for environment, estimator, batch in itertools.product(self.environments, self.estimators, self.batch_sizes):
            yield Population(environment, estimator, batch, self.horizon, self.iterations, self.seeds, self.rates)


QUICK = Scale(("pendulum",), ("state_value_baseline", "pathwise"), (8,), 5, 2, 2, (0.003, 0.01), 2, 1)


# --- populations ------------------------------------------------------------------------------------------------


def compare(case: Population, contestants: Mapping[str, Contestant], rounds: int) -> list[dict[str, Any]]:
    """One case: agreement first, then compilation, then rounds of turns; one row per way of training."""
    sent = asdict(case)
    facts: dict[str, dict[str, Any]] = {name: {} for name in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    runs = dict.fromkeys(WAYS, 0)
    racing = list(WAYS)
    for turn in range(-1, rounds):  # turn -1 prepares
        for name in tuple(racing):
            contestant, way = WAYS[name]
            process = contestants[contestant]
            time.sleep(REST)
            try:
                if turn < 0:
                    if contestant == "jax":
                        facts[name]["relative_difference"] = require_agreement(case, contestants)
                    facts[name] |= process.ask("prepare", population=sent, way=way)
                else:
                    answer = process.ask("train", population=sent, way=way, round=turn)
                    seconds[name].append(answer["seconds"])
                    runs[name] += answer["runs"]
            except Failure as failure:
                facts[name]["note"] = str(failure)
                seconds[name] = []
                racing.remove(name)
    rows = []
    for name in WAYS:
        row = {
            "environment": case.environment,
            "estimator": case.estimator,
            "batch_size": case.batch_size,
            "horizon": case.horizon,
            "iterations": case.iterations,
            "members": case.seeds * len(case.rates),
            "contestant": name,
            "rounds": len(seconds[name]),
            "runs_made": runs[name],
            **quartiles("seconds", seconds[name]),
            **quartiles("ratio", [ours / theirs for ours, theirs in zip(seconds[OURS], seconds[name], strict=False)]),
            "target": TARGETS.get(name, ""),
            "preparation_seconds": facts[name].get("preparation_seconds", ""),
            "relative_difference": facts[name].get("relative_difference", ""),
            "note": facts[name].get("note", ""),
        }
        rows.append(row)
    return rows


def require_agreement(case: Population, contestants: Mapping[str, Contestant]) -> float:
    """Largest relative difference of JAX's gradients from Scorepath's, of one iteration of every seed.

    Raises:
        Failure: if it is larger than `AGREEMENT`: a comparison of their times would be void.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "gradients.npz")
        for name in ("scorepath", "jax"):
            answer = contestants[name].ask("gradients", population=asdict(case), file=file)
    difference: float = answer["relative_difference"]
    if not difference <= AGREEMENT:
        raise Failure(f"void: gradients differ by {difference:.1e}, more than {AGREEMENT:g}")
    return difference


def quartiles(name: str, values: Sequence[float]) -> dict[str, Any]:
    """`name_low`, `name` and `name_high`: quartiles, the middle one the median; empty without values."""
    columns = (f"{name}_low", name, f"{name}_high")
    if not values:
        return dict.fromkeys(columns, "")
    return dict(zip(columns, np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


def measure_populations(scale: Scale, threads: Sequence[int]) -> Iterator[dict[str, Any]]:
    for count in threads:
        with Contestant("scorepath", count) as ours, Contestant("jax", count) as jax:
            for case in scale.populations():
                for row in compare(case, {"scorepath": ours, "jax": jax}, scale.rounds):
                    yield {"threads": count, **row}


def population_line(row: Mapping[str, Any]) -> str:
    start = (
        f"{row['environment']:9} {row['estimator']:21} batch {row['batch_size']:3}  {row['threads']} thread(s)  "
        f"{row['contestant']:28}"
    )
    if not row["rounds"]:
        return f"{start} {row['note']}"
    line = f"{start} {row['seconds']:8.3f} s, prepared in {row['preparation_seconds']:5.1f} s"
    if not row["target"] or row["ratio"] == "":
        return line
    verdict = "met" if row["ratio"] <= row["target"] else "MISSED"
    return (
        f"{line}; population / this {row['ratio']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f}), "
        f"target {row['target']:g} {verdict}"
    )


# --- swing-up ---------------------------------------------------------------------------------------------------


def swing_up(scale: Scale, threads: Sequence[int], threshold: float, cap: float) -> Iterator[dict[str, Any]]:
    """Every entrant from every seed, each run in a process of its own, so that compilation is paid every time."""
    for count, turn, (name, (contestant, options)) in itertools.product(
        threads, range(scale.swing_up_seeds), ENTRANTS.items()
    ):
        seed = FIRST_SEED + turn
        race = Race(threshold, cap, **options)
        row: dict[str, Any] = {
            "threads": count, "contestant": name, "seed": seed, "threshold": threshold, "cap": cap, "reached": False,
            "seconds": "", "seconds_with_preparation": "", "environment_steps": "", "best_return": "",
            "last_return": "", "note": "",
        }  # fmt: skip
        if contestant != "stable_baselines3":
            row["note"] = f"horizon {race.horizon}, batch {race.batch_size}, sigma {race.sigma}, rate {race.rate}"
        try:
            with Contestant(contestant, count) as process:
                answer = process.ask("swing_up", race=asdict(race), seed=seed)
            preparation = answer.pop("preparation_seconds")
            row |= answer | {"seconds_with_preparation": answer["seconds"] + preparation}
        except Failure as failure:
            row["note"] = str(failure)
        yield row


def swing_up_line(row: Mapping[str, Any]) -> str:
    start = f"{row['contestant']:34} seed {row['seed']}  {row['threads']} thread(s) "
    if not row["seconds"]:
        return f"{start} {row['note']}"
    if not row["reached"]:
        return f"{start} not reached in {row['seconds']:.1f} s, best return {row['best_return']:.0f}"
    return f"{start} {row['seconds']:7.1f} s, with preparation {row['seconds_with_preparation']:7.1f} s"


def swing_up_summary(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Per entrant: how many seeds reached the threshold, and the median over all seeds (those that did not: no end)."""
    for count, name in dict.fromkeys((row["threads"], row["contestant"]) for row in rows):
        runs = [row for row in rows if (row["threads"], row["contestant"]) == (count, name)]
        reached = [row for row in runs if row["reached"]]
        line = f"{name:34} {count} thread(s): reached {runs[0]['threshold']:g} in {len(reached)} of {len(runs)} runs"
        for column in ("seconds", "seconds_with_preparation"):
            times = [row[column] if row["reached"] else float("inf") for row in runs]
            line += f"; {column.replace('_', ' ')}: median {statistics.median(times):.1f}, {min(times):.1f} at best"
        yield line


# --- figure -----------------------------------------------------------------------------------------------------


def draw(folder: Path) -> None:
    """training.svg from the tables that are there."""
    import pandas as pd  # measuring needs neither
    import seaborn as sns

    from scorepath.figures.sheet import Sheet
    from scorepath.figures.style import WIDTH, heading, log_axis, note, style

    title = "Training: a population against its rivals, and seconds until the pendulum swings up"
    with style():
        figure = Sheet(WIDTH, 6.4)
        upper, lower = figure.subplots(2, 1, height_ratios=(2, 1))
        if (path := folder / "population.csv").exists():
            table = pd.read_csv(path).dropna(subset=["target", "ratio"])
            table["case"] = [
                f"{row.environment}, {row.estimator.replace('_', ' ')}, batch {row.batch_size}"
                for row in table.itertuples()
            ]
            sns.scatterplot(table, x="ratio", y="case", hue="contestant", style="threads", ax=upper, zorder=3)
            colours = dict(zip(dict.fromkeys(table["contestant"]), sns.color_palette(), strict=False))
            for row in table.itertuples():
                upper.plot([row.ratio_low, row.ratio_high], [row.case] * 2, color=colours[row.contestant], lw=1)
            for target in sorted(set(table["target"])):
                upper.axvline(target, color="black", lw=0.7, ls="--")
            upper.set(xscale="log", xlabel="seconds of the population / seconds of the rival", ylabel="")
            log_axis(upper.xaxis, *upper.get_xlim())
            sns.move_legend(upper, "upper left", bbox_to_anchor=(1, 1), frameon=False)
        if (path := folder / "swing_up.csv").exists():
            table = pd.read_csv(path).dropna(subset=["seconds_with_preparation"])
            table["threshold reached"] = table["reached"].map({True: "yes", False: "no"})
            sns.scatterplot(
                table, x="seconds_with_preparation", y="contestant", hue="threads", style="threshold reached",
                markers={"yes": "o", "no": "X"}, palette="colorblind", ax=lower, zorder=3,
            )  # fmt: skip
            lower.set(
                xscale="log", xlabel="seconds of training and preparation, to the threshold or the cap", ylabel=""
            )
            log_axis(lower.xaxis, *lower.get_xlim())
            sns.move_legend(lower, "upper left", bbox_to_anchor=(1, 1), frameon=False)
        heading(figure, title)
        note(figure, "Above: medians and quartiles over rounds, dashed lines are targets. Below: one mark per seed.")
        figure.tight_layout(rect=(0, 0.04, 1, 0.95))
        figure.save(folder / "training.svg", title, f"The numbers stand in the tables of {folder.name}/.")


# --- command ----------------------------------------------------------------------------------------------------


def kept(rows: Iterator[dict[str, Any]], line: Callable[[Mapping[str, Any]], str], table: Path) -> list[dict[str, Any]]:
    """All rows, each told and written as soon as it is measured: an interrupted benchmark keeps what it has."""
    found = []
    for row in rows:
        found.append(row)
        print(line(row), flush=True)
        write_rows(table, found)
    return found


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; by default all")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="measured one after the other")
    parser.add_argument("--quick", action="store_true", help="something tiny of everything: its numbers mean nothing")
    parser.add_argument("--threshold", type=float, default=-200.0, help="mean return that counts as swung up")
    parser.add_argument("--cap", type=float, default=300.0, help="seconds after which a run has not swung up")
    parser.add_argument("--seeds", type=int, help="runs of each entrant of swing_up")
    parser.add_argument("--environments", nargs="+", choices=Scale.environments, help="of the populations")
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="of the populations; default: 16 64")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the tables and the figure")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    parts = options.parts or PARTS
    scale = QUICK if options.quick else Scale()
    cap = 5.0 if options.quick else options.cap
    if options.seeds:
        scale = replace(scale, swing_up_seeds=options.seeds)
    if options.environments:
        scale = replace(scale, environments=tuple(options.environments))
    if options.batch_sizes:
        scale = replace(scale, batch_sizes=tuple(options.batch_sizes))
    if "population" in parts:
        rows = measure_populations(scale, options.threads)
        kept(rows, population_line, options.output / "population.csv")
    if "swing_up" in parts:
        rows = swing_up(scale, options.threads, options.threshold, cap)
        print(*swing_up_summary(kept(rows, swing_up_line, options.output / "swing_up.csv")), sep="\n")
    if "figure" in parts:
        draw(options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
