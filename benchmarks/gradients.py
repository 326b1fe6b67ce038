"""Gradient statistics against JAX, torch.func, Storchastic, Stable-Baselines3, and the limit of the hardware.

    python benchmarks/run.py gradients [--quick] [--threads 1 2]

Contestants are separate processes on the same cores. In every case they first have to agree, then they take turns,
one at a time, so that what disturbs the machine disturbs all of them; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from benchmarks.contestants import protocol, scorepath_
from benchmarks.contestants.protocol import BATCH, HIDDEN, SIGMA, Case, Contestant, Failure

from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.study.settings import EnvironmentEntry

OUTPUT = protocol.ROOT / "results" / "benchmarks"
OURS = "scorepath_"
LABELS = {
    OURS: "Scorepath",
    "torch_func": "torch.func vmap(grad)",
    "jax_vmap_grad": "JAX vmap(grad), jitted",
    "jax_vmap_grad_chunked": "JAX vmap(grad), chunked",
    "jax_signals": "JAX action signals, jitted",
    "storchastic_": "Storchastic",
    "stable_baselines3_": "Stable-Baselines3 A2C",
    "limit": "limit",
    "products": "its matrix products alone",
}
GREYS = {LABELS["limit"]: "0.3", LABELS["products"]: "0.6"}
"""Lower bounds, which nobody contests."""
ENVIRONMENTS = ("pendulum", "cartpole")
ESTIMATORS = ("reinforce", "state_value_baseline", "pathwise")
HORIZONS = (50, 200)
SAMPLES = (256, 1024, 4096, 16384)

LONGEST_CALL = 60.0
"""Seconds; a contestant that would need more is skipped."""
MEMORY_SHARE = 0.7
"""Of the available memory; a contestant that would need more is skipped."""
REST = 0.02
"""Seconds between turns: by then the last contestant's idle threads no longer spin."""
QUARTILES = (0.25, 0.5, 0.75)
TOLERANCE = 1e-3
"""How far results may lie from Scorepath's in float64, relative; README.md says how it was chosen."""


@dataclass(frozen=True)
class Repeats:
    """At least `least` timed calls, then more until `seconds` are spent or `most` calls are made."""

    least: int = 5
    most: int = 15
    seconds: float = 1.0

    def enough(self, times: Collection[float]) -> bool:
        return len(times) >= self.least and (len(times) >= self.most or sum(times) >= self.seconds)


@dataclass(frozen=True)
class Target:
    """What is promised of one contestant's ratio (its seconds divided by Scorepath's) from `samples` on."""

    contestant: str
    samples: range
    ratio: float


TARGETS = (
    Target("torch_func", range(4096, sys.maxsize), 8.0),
    *(Target(name, range(1024, sys.maxsize), 1.5) for name in ("jax_vmap_grad", "jax_vmap_grad_chunked")),
    *(Target(name, range(256, 1024), 1.0) for name in ("jax_vmap_grad", "jax_vmap_grad_chunked")),
    Target("limit", range(4096, sys.maxsize), 0.5),
)


@dataclass
class Row:
    """One contestant in one case. `_low` and `_high` are quartiles; ratios are formed within each round."""

    environment: str
    estimator: str
    horizon: int
    samples: int
    threads: int
    contestant: str
    work: str = ""
    repeats: int = 0
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    peak_memory_bytes: int | None = None
    input_bytes: int | None = None
    mean_error: float | None = None
    trace_error: float | None = None
    projection_error: float | None = None
    tolerance: float | None = None
    note: str = ""


# --- inputs and agreement -------------------------------------------------------------------------------------------


def write_inputs(environment: str, horizon: int, samples: int, path: Path) -> None:
    """Parameters, noise and earlier trajectories of the same policy, as `Case.arrays` describes them."""
    generator = np.random.default_rng(20260101)
    entry = EnvironmentEntry(environment, environment, {"horizon": horizon}, {"kind": "mlp", "hidden": HIDDEN})
    instance, policy = make_environment(entry)
    parameters = policy.initial_parameters(generator).float()
    direction = generator.standard_normal(len(parameters), dtype=np.float32)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        initial = generator.standard_normal((samples, instance.initial_noise_dim), dtype=np.float32)
        return initial, generator.standard_normal((samples, horizon, 1), dtype=np.float32)

    (initial, action), earlier = draw(), draw()
    past_initial, past_action = (torch.from_numpy(draws).unflatten(0, (-1, BATCH)) for draws in earlier)
    nothing = past_action[..., :0]
    past = Simulator(instance, policy, parameters, SIGMA).rollout(
        RolloutNoise(past_initial, past_action, nothing, nothing)
    )
    np.savez(
        path,
        parameters=parameters,
        direction=direction / np.linalg.norm(direction),
        initial=initial,
        action_noise=action,
        past_observations=past.observations,
        past_rewards=past.rewards,
        past_rewards_to_go=past.rewards_to_go,
    )


Results = Mapping[str, np.ndarray]


def reference(case: Case) -> Results:
    """Scorepath's results in float64; batches are independent, so those of fewer samples come first in them."""
    return {name: values.numpy() for name, values in scorepath_.prepare(case, torch.float64)().items()}


def errors(found: Results, exact: Results, batches: int) -> dict[str, float]:
    """Relative distances from the float64 results of the same batches: mean gradients, trace, projections.

    Each is the median over batches (for the trace, over trajectories): in float32 a chaotic trajectory is nobody's.
    """

    def distance(values: np.ndarray, truth: np.ndarray) -> float:
        rows, true_rows = values.reshape(len(values), -1), truth[: len(values)].reshape(len(values), -1)
        return float(np.median(np.linalg.norm(rows - true_rows, axis=1) / np.linalg.norm(true_rows, axis=1)))

    if "mean_gradient" in found:
        return {"mean_error": distance(found["mean_gradient"][None], exact["means"][:batches].mean(0)[None])}
    if "means" not in found:
        return {}
    return {
        "mean_error": distance(found["means"], exact["means"]),
        "trace_error": distance(found["deviations"], exact["deviations"]),
        "projection_error": distance(found["projections"], exact["projections"]),
    }


# --- turns ----------------------------------------------------------------------------------------------------------


@dataclass
class Entrant:
    """A contestant's process within one group of cases of growing N, and its last case in the group."""

    name: str
    process: Contestant
    samples: int = 0
    seconds: list[float] = field(default_factory=list)
    memory: int = 0
    out: str = ""
    """Why it takes no further part in the group."""

    def reason_to_skip(self, samples: int) -> str:
        """What its last case promises for this many samples: "" or why it is not asked to try."""
        if self.out or not self.seconds:
            return self.out
        growth = samples / self.samples
        if (seconds := growth * float(np.median(self.seconds))) > LONGEST_CALL:
            return f"would take about {seconds:.0f} s a call"
        if (memory := growth * self.memory) > MEMORY_SHARE * available_memory():
            return f"would need about {memory / 2**30:.0f} GiB"
        return ""

    def enter(self, case: Case, exact: Results, found: Path, row: Row) -> None:
        """Prepare a case, run it once to warm up, and compare with the others.

        Raises:
            Failure: if it cannot, or if its results are not those of the others.
        """
        self.samples, self.seconds, self.memory = case.samples, [], 0
        row.work = self.process.prepare(case)
        self.process.run()
        self.process.save(found)
        with np.load(found) as results:
            distances = errors(results, exact, case.batches)
        for name, distance in distances.items():
            setattr(row, name, distance)
        row.tolerance = TOLERANCE if distances else None
        if not all(distance <= TOLERANCE for distance in distances.values()):
            raise Failure(f"results differ by more than {TOLERANCE:g}")

    def failed(self, failure: Failure) -> str:
        """What to note; a process that died takes no part in larger cases."""
        if not self.process.alive:
            self.out = f"ended with {self.samples} samples"
        return str(failure)

    def take_turn(self) -> None:
        time.sleep(REST)
        seconds, memory = self.process.run()
        self.seconds.append(seconds)
        self.memory = max(self.memory, memory)


def available_memory() -> int:
    """Bytes that processes may still take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("this kernel reports no MemAvailable; the benchmarks need Linux")


def race(case: Case, exact: Results, entrants: Sequence[Entrant], threads: int, repeats: Repeats) -> list[Row]:
    """One case: who cannot take part says why; the others agree, take turns and get their times."""
    rows = {
        e.name: Row(case.environment, case.estimator, case.horizon, case.samples, threads, e.name) for e in entrants
    }
    found = Path(case.data).with_name("found.npz")
    input_bytes = sum(values.nbytes for values in case.arrays().values())
    racing: list[Entrant] = []
    for entrant in entrants:
        row = rows[entrant.name]
        row.note = entrant.reason_to_skip(case.samples)
        if not row.note:
            try:
                entrant.enter(case, exact, found, row)
                racing.append(entrant)
            except Failure as failure:
                row.note = entrant.failed(failure)
    waiting = list(racing)
    while waiting:
        for entrant in list(racing):
            if entrant not in waiting and entrant.name != OURS:  # Scorepath takes every turn: each round has a ratio
                continue
            try:
                entrant.take_turn()
            except Failure as failure:
                rows[entrant.name].note = entrant.failed(failure)
                racing.remove(entrant)
        waiting = [entrant for entrant in waiting if entrant in racing and not repeats.enough(entrant.seconds)]
    ours = next((entrant.seconds for entrant in racing if entrant.name == OURS), [])
    for entrant in racing:
        row, seconds = rows[entrant.name], np.array(entrant.seconds)
        row.repeats, row.peak_memory_bytes = len(seconds), entrant.memory
        row.input_bytes = input_bytes
        row.seconds_low, row.seconds, row.seconds_high = np.quantile(seconds, QUARTILES).tolist()
        if len(ours) >= len(seconds):
            ratios = seconds / np.array(ours[: len(seconds)])
            row.ratio_low, row.ratio, row.ratio_high = np.quantile(ratios, QUARTILES).tolist()
    return list(rows.values())


# --- tables and figure ----------------------------------------------------------------------------------------------


def write_table(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def summary(table: pd.DataFrame) -> str:
    """Every case with a target as a Markdown table: the ratio with its quartiles, and whether it is met."""
    lines = [
        "| environment | estimator | T | N | threads | against | Scorepath s | its s | ratio (quartiles) | target | |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|--:|---|",
    ]
    met = total = 0
    keys = ["environment", "estimator", "horizon", "samples", "threads"]
    ours = table[table["contestant"] == OURS].set_index(keys)["seconds"]
    for target, row in itertools.product(TARGETS, table.to_dict("records")):
        if row["contestant"] != target.contestant or row["samples"] not in target.samples:
            continue
        case = tuple(row[key] for key in keys)
        start = f"| {' | '.join(map(str, case))} | {LABELS[row['contestant']]} | {ours.get(case, np.nan):.4g} |"
        if pd.isna(row["ratio"]):
            lines.append(f"{start} | | {target.ratio:g} | not measured: {row['note']} |")
            continue
        total += 1
        met += (reached := row["ratio"] >= target.ratio)
        ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        lines.append(f"{start} {row['seconds']:.4g} | {ratio} | {target.ratio:g} | {'met' if reached else 'MISSED'} |")
    return "\n".join([*lines, "", f"Targets met: {met} of {total}.", "", memory_summary(table)])


def memory_summary(table: pd.DataFrame) -> str:
    """Peak resident memory without the inputs, in MiB, by N: the largest over all other columns."""
    used = table.dropna(subset=["peak_memory_bytes"])
    used = used.assign(peak=(used["peak_memory_bytes"] - used["input_bytes"]) / 2**20)
    wide = used.pivot_table(
        index=["contestant", "horizon"], columns="samples", values="peak", aggfunc="max", sort=False
    )
    lines = [
        "Peak resident memory without the inputs, MiB, largest over environments, estimators and threads:",
        "",
        f"| contestant | T | {' | '.join(f'N = {samples}' for samples in wide.columns)} |",
        f"|---|--:|{'--:|' * len(wide.columns)}",
    ]
    for (contestant, horizon), peaks in wide.iterrows():
        cells = " | ".join("" if np.isnan(peak) else f"{peak:.0f}" for peak in peaks)
        lines.append(f"| {LABELS[contestant]} | {horizon} | {cells} |")
    return "\n".join(lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Times as multiples of Scorepath's against N, with quartiles; a panel per environment, horizon and estimator."""
    shown = table[table["contestant"] != OURS].dropna(subset=["ratio"])
    shown = shown.assign(
        row=shown["environment"] + ", T = " + shown["horizon"].astype(str),
        contestant=shown["contestant"].map(LABELS),
        threads=shown["threads"].astype(str),
        estimator=shown["estimator"].str.replace("_", " "),
    )
    works = zip(shown["contestant"], shown["work"], strict=True)
    less = {label: "" if work in ("full", "limit") else " (does less)" for label, work in works}
    rivals = [label for name, label in LABELS.items() if name != OURS and label not in GREYS]
    colours = dict(zip(rivals, sns.color_palette("colorblind"), strict=False)) | GREYS
    palette = {label + less[label]: colour for label, colour in colours.items() if label in less}
    shown["contestant"] += shown["contestant"].map(less)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "scorepath", "font.size": 9}
    with mpl.rc_context(dict(sns.axes_style("whitegrid")) | settings):
        panels = sns.relplot(
            shown, x="samples", y="ratio", row="row", col="estimator", kind="line", errorbar=None,
            hue="contestant", hue_order=list(palette), palette=palette, style="threads", markers=True, markersize=5,
            height=2.6, aspect=1.25, facet_kws={"margin_titles": True},
        )  # fmt: skip
        for (row, estimator), axes in panels.axes_dict.items():
            own = shown[(shown["row"] == row) & (shown["estimator"] == estimator)]
            for (contestant, _), curve in own.groupby(["contestant", "threads"]):
                bounds = curve["ratio_low"], curve["ratio_high"]
                axes.fill_between(curve["samples"], *bounds, color=palette[contestant], alpha=0.15, linewidth=0)
        panels.refline(y=1, color="black", linestyle="-", linewidth=1)
        panels.set(xscale="log", yscale="log", xlabel="trajectories N", ylabel="time / Scorepath\u2019s")
        panels.set_titles(row_template="{row_name}", col_template="{col_name}")
        low, high = shown["ratio_low"].min(), shown["ratio_high"].max()
        heights = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low / 2 < tick < 2 * high]
        ticks = sorted(shown["samples"].unique())
        for axes in panels.axes.flat:
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.set_yticks(heights, [f"{tick:g}" for tick in heights])
            axes.minorticks_off()
        panels.savefig(path, metadata={"Date": None, "Title": "Gradient statistics: rivals' time over Scorepath's"})


# --- the command ----------------------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace, repeats: Repeats, path: Path) -> list[Row]:
    """All cases; the table on disk grows with every one, so that an interrupted run leaves what it has."""
    rows: list[Row] = []
    samples = sorted(arguments.samples)  # a process keeps memory: peaks must grow with N, not be left over
    groups = itertools.product(arguments.environments, arguments.horizons, arguments.estimators)
    with tempfile.TemporaryDirectory(prefix="scorepath-benchmark-") as folder:
        data = Path(folder) / "inputs.npz"
        for environment, horizon, estimator in groups:
            write_inputs(environment, horizon, samples[-1], data)
            cases = [Case(environment, estimator, horizon, count, str(data)) for count in samples]
            exact = reference(cases[-1])
            for threads in arguments.threads:
                entrants = [Entrant(name, Contestant(name, threads)) for name in arguments.contestants]
                for case in cases:
                    new = race(case, exact, entrants, threads, repeats)
                    rows += new
                    write_table(rows, path)
                    print(*(told(row) for row in new), sep="\n", flush=True)
                for entrant in entrants:
                    entrant.process.close()
    return rows


def told(row: Row) -> str:
    """One line of progress."""
    start = (
        f"{row.environment:9} {row.estimator:20} T={row.horizon:<4} N={row.samples:<6} {row.threads} thread(s) "
        f"{LABELS[row.contestant]:28}"
    )
    if row.seconds is None:
        return f"{start} -- {row.note}"
    ratio = "" if row.ratio is None else f"{row.ratio:7.2f} x Scorepath"
    return f"{start} {row.seconds * 1e3:10.2f} ms {ratio}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small cases and few repeats: does everything work?")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--environments", nargs="+", choices=ENVIRONMENTS, default=ENVIRONMENTS)
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=ESTIMATORS)
    parser.add_argument("--contestants", nargs="+", choices=list(LABELS), default=list(LABELS))
    parser.add_argument("--horizons", type=int, nargs="+", help="default: 50 200")
    parser.add_argument("--samples", type=int, nargs="+", help="multiples of 64; default: 256 1024 4096 16384")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the table and the figure")
    options = parser.parse_args(arguments)
    options.horizons = options.horizons or ([10] if options.quick else HORIZONS)
    options.samples = options.samples or ([64, 128] if options.quick else SAMPLES)
    if wrong := [count for count in options.samples if count < BATCH or count % BATCH]:
        parser.error(f"--samples must be multiples of {BATCH}, got {wrong[0]}")
    repeats = Repeats(least=2, most=3, seconds=0.1) if options.quick else Repeats()
    path = options.output / "gradients.csv"
    rows = measure(options, repeats, path)
    table = pd.DataFrame(map(asdict, rows))
    draw(table, path.with_suffix(".svg"))
    text = summary(table)
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nWritten: {path}, gradients.md and gradients.svg beside it.")


if __name__ == "__main__":
    main(sys.argv[1:])
