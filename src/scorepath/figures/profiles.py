"""Who learns how far: performance profiles, the share of runs whose score is above a threshold (Agarwal et al. 2021).

A score is 0 at the return before training and 1 at the best mean gain that any estimator reached at that place, an
environment at a noise level. Bands are a bootstrap over seeds, stratified by place, as rliable has them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist

from scorepath.figures import style
from scorepath.figures.bias import places_seen_biased
from scorepath.figures.sheet import hide, read
from scorepath.figures.wording import NO_DATA, interval, label, number, why_empty
from scorepath.statistics import bootstrap_indices, interquartile_mean, limits
from scorepath.store.tables import Tables

TITLE = "Performance profiles: share of runs with a score above τ"
RESAMPLES = 500
LAST = 0.75
"""Share of the iterations after which training is judged: the last quarter."""
CLIP = (-1.0, 2.0)
THRESHOLDS = np.linspace(-0.25, 1.25, 61)
PLACE = ["environment", "sigma"]


def scores(tables: Tables) -> pd.DataFrame:
    """A row per run: `score` over the last quarter, `area`, the mean score over all of training; `reached`, the
    environment steps, and `seconds` of gradient computation, after which half the best gain is reached (inf: never).
    """
    training = tables.read("training").dropna(subset=["return_stochastic", "seed"])
    costs = tables.read("costs")
    costs = costs[costs["samples_at_once"] == costs["batch_size"]].drop_duplicates(["environment", "estimator"])
    costs = costs[["environment", "estimator", "batch_size", "seconds_per_sample"]]
    training = training.merge(costs, on=["environment", "estimator"], how="left")
    training["seconds"] = training["iteration"] * training["batch_size"] * training["seconds_per_sample"]
    run = [*PLACE, "estimator", "seed"]
    training = training.sort_values("iteration", kind="stable")
    training["gain"] = training["return_stochastic"] - training.groupby(run)["return_stochastic"].transform("first")
    training["late"] = training["iteration"] > LAST * training.groupby(run)["iteration"].transform("max")
    means = training[training["late"]].groupby([*PLACE, "estimator"])["gain"].mean().groupby(PLACE).max().rename("unit")
    training = training.merge(means.where(means > 0), on=PLACE, how="left")
    training["score"] = (training["gain"] / training["unit"]).clip(*CLIP)
    late = training[training["late"]]
    rows = training.groupby(run, sort=False)
    reached = training[training["score"] >= 0.5].groupby(run, sort=False)[["environment_steps", "seconds"]].first()
    found = pd.DataFrame({
        "score": late.groupby(run, sort=False)["score"].mean(), "area": rows["score"].mean(),
    }).join(reached.rename(columns={"environment_steps": "reached"}))  # fmt: skip
    unknown = found.index.isin(reached.index) & found["seconds"].isna()
    found[["reached", "seconds"]] = found[["reached", "seconds"]].fillna(np.inf)
    found.loc[unknown, "seconds"] = np.nan
    return found.reset_index().dropna(subset=["score"])


def shared(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs at places where every estimator is trained: elsewhere they cannot be compared."""
    every = runs.groupby(PLACE)["estimator"].transform("nunique") == runs["estimator"].nunique()
    return runs[every]


def draw(tables: Tables, output: Path) -> None:
    """Draw the figure."""
    runs = shared(scores(tables))
    if runs.empty:
        style.empty(output, TITLE, why_empty(tables, NO_DATA, "training"))
        return
    styles = style.estimator_styles(tables)
    present = set(runs["estimator"])
    names = style.featured(styles, present)
    biased = {estimator for _, estimator, _ in places_seen_biased(tables)}
    with style.style():
        figure, (axes,) = style.grid(1, 1, 2.8, top=0.68 + 0.19 * (-(-len(names) // 5)), bottom=0.9)
        drawn = style.the_rest(figure, styles, present)
        axes.set_label("runs above the score τ")
        for name, rest in drawn.items():
            own = runs[runs["estimator"] == name]
            profiled = profile([each["score"].to_numpy() for _, each in own.groupby(PLACE)])
            share, low, high = (100 * each for each in profiled)
            look = styles[name]
            made: list[Artist] = [axes.fill_between(THRESHOLDS, low, high, color=look.colour, alpha=0.15, lw=0)]
            made += axes.plot(THRESHOLDS, share, color=look.colour, lw=1.5, ls=look.dash)
            hide(made, rest)
            told = [f"{interval(*each)} %" for each in zip(share, low, high, strict=True)]
            read(axes, label(name), THRESHOLDS, share, [f"τ = {number(tau)}" for tau in THRESHOLDS], told, rest)
        axes.set_xlim(THRESHOLDS[0], THRESHOLDS[-1])
        axes.set_ylim(0, 102)
        axes.set_xlabel("score τ: 0 the return before training, 1 the best mean of the place")
        axes.set_ylabel("runs above τ, %")
        style.heading(figure, TITLE)
        style.legend(figure, style.estimator_handles(names, styles, lines=True, biased=biased))
        places = len(runs[PLACE].drop_duplicates())
        style.note(
            figure,
            f"{len(runs):,} runs at the {places} places where each of these is trained, places of equal weight. Band:"
            " pointwise 95 % bootstrap over seeds within places; it says nothing of other environments."
            + style.left_out(drawn) + style.DAGGER_WORDS,
        )  # fmt: skip
        figure.save(output, TITLE, sentence(tables))


def profile(places: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of scores above each threshold with pointwise 95 % limits, places of equal weight."""
    generator = np.random.default_rng(0)
    share = np.mean([_above(own) for own in places], axis=0)
    drawn = [_above(own[bootstrap_indices(len(own), RESAMPLES, generator)]) for own in places]
    return share, *limits(np.mean(drawn, axis=0))


def _above(values: np.ndarray) -> np.ndarray:
    """The share along the last axis above each threshold, (..., thresholds)."""
    return np.asarray((values[..., None] > THRESHOLDS).mean(-2))


def means(tables: Tables) -> list[tuple[str, float, float, float]]:
    """Per estimator the interquartile mean of its shared scores, with limits by resampling seeds within places."""
    found = []
    for name, own in shared(scores(tables)).groupby("estimator", sort=False):
        generator = np.random.default_rng(0)
        places = [each["score"].to_numpy() for _, each in own.groupby(PLACE)]
        drawn = [each[bootstrap_indices(len(each), RESAMPLES, generator)] for each in places]
        low, high = limits(interquartile_mean(np.concatenate(drawn, axis=-1)))
        found.append((str(name), float(interquartile_mean(np.concatenate(places))), float(low), float(high)))
    return found


def sentence(tables: Tables) -> str:
    """The interquartile means, highest first."""
    ranked = sorted(means(tables), key=lambda entry: -entry[1])
    parts = [f"{label(name)} {value:.2f} [{low:.2f}, {high:.2f}]" for name, value, low, high in ranked]
    return f"Interquartile mean of the final score over these runs: {', '.join(parts)}.".replace("-", "−")
