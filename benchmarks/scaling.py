"""How the cost grows with trajectories, horizon, parameters, population and cells: measured curves, their exponents.

    python benchmarks/run.py scaling [--quick] [--threads 1 2]

Four curves are those of the library, an MLP 64-64 (but where its width varies) on the pendulum; the fifth is the time
of Snakemake's DAG of the default study, its environments repeated. A round measures every point of a curve once, so
that what disturbs the machine disturbs all of them. Where there is a CUDA device, the first curves are measured there.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from benchmarks import scale
from benchmarks.common import BATCH, ROOT

from scorepath.environments.base import make_policy
from scorepath.environments.pendulum import Pendulum
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.figures.style import log_axis
from scorepath.measurement import sample_batches
from scorepath.memory import keep_freed_memory
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.study.cells import Plan

OUTPUT = ROOT / "results" / "benchmarks"
ESTIMATORS = {"reinforce": Reinforce(), "pathwise": Pathwise()}
Work = Callable[[], object]


@dataclass(frozen=True)
class Point:
    """One measured point: quartiles of seconds over the rounds."""

    curve: str
    of: str
    """An estimator, or Snakemake."""
    device: str
    threads: int
    size: int
    seconds_low: float
    seconds: float
    seconds_high: float


@dataclass(frozen=True)
class Curve:
    """One quantity that varies, the others held fixed."""

    name: str
    sizes: tuple[int, ...]
    work: Callable[[str, int, str], Work]
    """From an estimator, the size and a device to what is timed."""


def simulator(horizon: int = 50, width: int = 64, members: int = 0) -> Simulator:
    environment = Pendulum(horizon=horizon)
    policy = make_policy(environment, "mlp", (width, width))
    parameters = policy.initial_parameters(np.random.default_rng(0)).float()
    return Simulator(environment, policy, parameters.expand(members, -1) if members else parameters, 0.1)


def statistics(estimator: str, run: Simulator, samples: int, device: str) -> Work:
    """Gradient statistics of so many trajectories, as a cell of the study computes them; random numbers included."""
    stream = Stream(1, "pendulum", "scaling")
    batches = range(samples // BATCH)
    return lambda: sample_batches(ESTIMATORS[estimator], run, stream, batches, BATCH, torch.float32, device)


def iteration(estimator: str, run: Simulator, device: str) -> Work:
    """The gradient estimate of one optimiser step of a population; random numbers included."""
    stream = Stream(1, "pendulum", "scaling")
    members = range(len(run.parameters))
    return lambda: ESTIMATORS[estimator].estimate(
        run, Noise(run.environment, stream, members, BATCH, torch.float32, device)
    )


CURVES = (
    Curve("trajectories", (64, 256, 1024, 4096, 16384), lambda e, n, d: statistics(e, simulator(), n, d)),
    Curve("horizon", (12, 25, 50, 100, 200, 400), lambda e, t, d: statistics(e, simulator(horizon=t), 1024, d)),
    Curve("width", (16, 32, 64, 128, 256), lambda e, w, d: statistics(e, simulator(width=w), 1024, d)),
    Curve("population", (1, 4, 16, 64, 256), lambda e, m, d: iteration(e, simulator(members=m), d)),
)
X_LABELS = {
    "trajectories": "trajectories",
    "horizon": "horizon",
    "parameters": "parameters",
    "population": "members of a population",
    "cells": "cells (time of the DAG)",
}


def measure(curve: Curve, estimator: str, device: str, threads: int, rounds: int) -> Iterator[Point]:
    """Every size of a curve, in turns after one warm-up each."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    works = {size: curve.work(estimator, size, device) for size in curve.sizes}
    seconds: dict[int, list[float]] = {size: [] for size in works}
    for repeat in range(rounds + 1):
        for size, work in works.items():
            began = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat:
                seconds[size].append(time.perf_counter() - began)
    for size, times in seconds.items():
        name, x = curve.name, size
        if name == "width":  # what costs is parameters
            name, x = "parameters", simulator(width=size).policy.parameter_count
        yield Point(name, estimator, device, threads, x, *np.quantile(times, (0.25, 0.5, 0.75)).tolist())


def measure_cells(copies: Sequence[int], rounds: int) -> Iterator[Point]:
    """Seconds that Snakemake takes for the DAG of the default study with its environments repeated."""
    for count in copies:
        with tempfile.TemporaryDirectory(prefix="scorepath-scaling-") as temporary:
            folder = Path(temporary) / "study"
            scale.new_project(folder, count)
            scale.measure(folder, "plan", sys.executable, "-m", "scorepath", "plan")
            plan = Plan.load(folder / "results" / "plan.json")
            cells = len(plan.running("gradients")) + len(plan.running("training"))
            times = [scale.measure(folder, "DAG", *scale.snakemake("--rulegraph")).wall_seconds for _ in range(rounds)]
            yield Point("cells", "snakemake", "cpu", 1, cells, *np.quantile(times, (0.25, 0.5, 0.75)).tolist())


def exponents(points: pd.DataFrame) -> list[float]:
    """The slope of log seconds against log size between neighbouring sizes."""
    ordered = points.sort_values("size")
    logs = np.log(ordered[["size", "seconds"]].to_numpy())
    return [float((b[1] - a[1]) / (b[0] - a[0])) for a, b in pairwise(logs)]


def summary(table: pd.DataFrame) -> str:
    """A Markdown table: smallest and largest size, seconds there, and the exponents from size to size."""
    lines = [
        "| against | of | device | threads | sizes | ms | exponents from size to size |",
        "|---|---|---|--:|---|---|---|",
    ]
    for (curve, of, device, threads), points in table.groupby(["curve", "of", "device", "threads"], sort=False):
        ordered = points.sort_values("size")
        sizes = ", ".join(f"{size:,}" for size in ordered["size"])
        times = ", ".join(f"{1e3 * seconds:.3g}" for seconds in ordered["seconds"])
        slopes = ", ".join(f"{slope:.2f}" for slope in exponents(points))
        lines.append(f"| {curve} | {of} | {device} | {threads} | {sizes} | {times} | {slopes} |")
    cuda = table[table["device"] == "cuda"]
    if not cuda.empty:
        keys = ["curve", "of", "size"]
        cpu = table[(table["device"] == "cpu") & (table["threads"] == 1)].set_index(keys)["seconds"]
        ratios = cuda.set_index(keys)["seconds"].rdiv(cpu).dropna()
        lines += [
            "",
            "CPU's seconds (one thread) over CUDA's: " + ", ".join(f"{k}: {v:.2f}" for k, v in ratios.items()),
        ]
    return "\n".join(lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Seconds against size, one panel per curve, with the exponent between its two largest sizes in the legend."""
    names = [name for name in X_LABELS if name in set(table["curve"])]
    settings = {"svg.fonttype": "none", "svg.hashsalt": "scorepath", "font.size": 9}
    with mpl.rc_context(dict(sns.axes_style("whitegrid")) | settings):
        figure, panels = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3.2), layout="constrained")
        colours = dict(zip(table["of"].unique(), sns.color_palette("colorblind"), strict=False))
        for axes, name in zip(np.atleast_1d(panels), names, strict=True):
            chosen = table[table["curve"] == name]
            for (of, device, threads), points in chosen.groupby(["of", "device", "threads"], sort=False):
                ordered = points.sort_values("size")
                where = f"{threads} thread{'s' if threads > 1 else ''}" if device == "cpu" else device
                axes.plot(
                    ordered["size"], ordered["seconds"], marker="o", markersize=4, color=colours[of],
                    linestyle="-" if threads == 1 and device == "cpu" else "--" if device == "cpu" else ":",
                    label=f"{of}, {where}: {(exponents(points) or [np.nan])[-1]:.2f}",
                )  # fmt: skip
                axes.fill_between(
                    ordered["size"], ordered["seconds_low"], ordered["seconds_high"], color=colours[of], alpha=0.2
                )
            axes.set(xscale="log", yscale="log", xlabel=X_LABELS[name], ylabel="seconds per call")
            log_axis(axes.xaxis, *axes.get_xlim())
            log_axis(axes.yaxis, *axes.get_ylim())
            axes.legend(title="exponent at the end", fontsize=7, title_fontsize=7)
        figure.savefig(path, metadata={"Date": None, "Title": "Scaling: seconds against size"})
        plt.close(figure)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three sizes and two rounds: does everything work?")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the table and the figure")
    options = parser.parse_args(arguments)
    rounds, copies = (2, (1, 2)) if options.quick else (7, (1, 2, 4, 8))
    devices = [("cpu", threads) for threads in options.threads]
    if torch.cuda.is_available():
        devices.append(("cuda", 1))
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "scaling.csv"
    points: list[Point] = []
    for curve in CURVES:
        chosen = Curve(curve.name, curve.sizes[:3], curve.work) if options.quick else curve
        for estimator in ESTIMATORS:
            for device, threads in devices:
                points += measure(chosen, estimator, device, threads, rounds)
                write(points, path)
    for point in measure_cells(copies, 1 if options.quick else 3):
        points.append(point)
        write(points, path)
    print(
        f"{path.with_suffix('.md').read_text(encoding='utf-8')}\nWritten: {path}, scaling.md and scaling.svg beside it."
    )


def write(points: Sequence[Point], path: Path) -> None:
    """The table, its summary and the figure of what is measured so far: a run that is stopped leaves its curves."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, points))
    table = pd.DataFrame(map(asdict, points))
    draw(table, path.with_suffix(".svg"))
    path.with_suffix(".md").write_text(summary(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
