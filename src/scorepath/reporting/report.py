"""Renders `reports/report.html`: the answer first, then the evidence, then every cell and how it was made.

Everything the page says with a number is computed here from the study's tables; the template only lays it out. Jinja
escapes all of it. The page refers to nothing outside itself except, by relative links, the tables it was made from.
"""

from __future__ import annotations

import base64
import json
import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scorepath.efficiency import latest_run
from scorepath.figures import FIGURES
from scorepath.figures.tables import (
    COLUMNS,
    checkpoint_name,
    in_order,
    label,
    read_table,
    read_verdicts,
    sigma_token,
)
from scorepath.files import atomic_write
from scorepath.records import all_records
from scorepath.reporting.answer import CRITERIA, answer_sentences, decisions
from scorepath.study import RESULTS

PACKAGES = ("scorepath", "torch", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "jinja2", "snakemake")
JUMPS = "the return jumps"
UNFINISHED = ("failed", "missing")
MISSED = 0.1  # share of the exact gradient from which on a pathwise shortfall is listed as a boundary term


@dataclass(frozen=True)
class Picture:
    """A figure as the page embeds it."""

    name: str
    title: str
    description: str
    uri: str


def render_report(
    tables: Path, figures: Path, plan: Path, output: Path, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write the report; whatever is missing is said on the page instead of stopping it.

    `provenance` is shown as given (nested mappings become nested tables); without it the page states the versions that
    rendered it.
    """
    tables, output = Path(tables), Path(output)
    planned = _read_plan(Path(plan))
    environment = Environment(
        loader=PackageLoader("scorepath.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, label=label, sigma=sigma_token)
    source = environment.loader.get_source  # type: ignore[union-attr]
    facts = declared_facts(planned)
    rows, columns = decisions(tables, facts)
    cells = read_table(tables, "cells")
    page = environment.get_template("report.html.j2").render(
        css=Markup(source(environment, "report.css")[0]),
        js=Markup(source(environment, "report.js")[0]),
        sentences=answer_sentences(tables),
        decisions=rows,
        criteria={key: (CRITERIA[key], tokens) for key, tokens in columns.items()},
        unfinished=cells[cells["status"].isin(UNFINISHED)].to_dict("records"),
        pictures={name: picture(Path(figures) / f"{name}.svg") for name in FIGURES},
        identity=identity_rows(tables),
        boundary_terms=boundary_terms(tables, facts),
        health=health_rows(tables),
        training=training_rows(tables),
        tallies=tallies(tables),
        cells=cell_rows(tables),
        estimators=estimator_rows(tables, planned),
        references=reference_rows(tables),
        claims=read_table(tables, "claims").to_dict("records"),
        config=json.dumps(planned.get("config", {}), indent=2, ensure_ascii=False) if planned.get("config") else "",
        settings=planned.get("config", {}),
        provenance=provenance if provenance is not None else own_versions(),
        run=latest_run(all_records()) if tables.parent == RESULTS else None,  # records are of the study in this folder
        downloads=_downloads(tables, output),
    )
    with atomic_write(output) as file:
        file.write(page)


# --- numbers as words ----------------------------------------------------------------------------------------------


def number(value: Any, digits: int = 3) -> str:
    """A number for a table: 3 significant digits, a true minus, powers of ten as such; a dash for none."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "–"
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        rounded = float(f"{value:.{digits}g}")
        return f"{rounded:,.10g}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.replace('-', '−')}×10{superscript}"


def picture(path: Path) -> Picture | None:
    """An SVG as a data address, with the title and the description it carries; None if there is no such file."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    words = {
        tag: unescape(found[1]) if (found := re.search(rf"<{tag}\b[^>]*>(.*?)</{tag}>", text, re.DOTALL)) else ""
        for tag in ("title", "desc")
    }
    encoded = base64.b64encode(text.encode()).decode()
    return Picture(path.stem, words["title"], words["desc"], f"data:image/svg+xml;base64,{encoded}")


# --- what the page says, from the tables ---------------------------------------------------------------------------


def declared_facts(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the plan declares about each environment, in a few words."""
    facts: dict[str, list[str]] = {}
    for cell in plan.get("cells", []):
        own = facts.setdefault(cell["environment"], [])
        horizon = cell.get("horizon")
        if horizon is not None and not own:
            own.append("one step" if horizon == 1 else f"{horizon} steps")
        if cell.get("estimator") == "pathwise" and cell.get("sigma", 0) > 0 and cell.get("stage") == "gradients":
            if cell["status"] == "not_applicable" and cell["reason"] not in own:
                own.append(cell["reason"])
            if cell["status"] == "run" and cell.get("unbiased") is False and JUMPS not in own:
                own.append(JUMPS)
    return facts


def identity_rows(tables: Path) -> list[dict[str, Any]]:
    """Both sides of the identity beside the exact gradient, at the start of training, per environment and level."""
    statistics = read_table(tables, "gradient_statistics")
    statistics = statistics[statistics["estimator"].isin(["reinforce", "pathwise"]) & (statistics["sigma"] > 0)]
    statistics = statistics[statistics["checkpoint"] == statistics["checkpoint"].min()]
    references = read_table(tables, "references")
    known = {(row["environment"], row["sigma"], row["checkpoint"]): row for row in references.to_dict("records")}
    rows = []
    for key, group in statistics.groupby(["environment", "sigma", "checkpoint"], sort=False):
        reference = known.get(key)
        if reference is None:
            continue
        row: dict[str, Any] = {"environment": key[0], "sigma": key[1], "reference": reference}
        for side in group.to_dict("records"):
            slack = 1.96 * (reference["standard_error"] if reference["standard_error"] > 0 else 0.0)
            side["agrees"] = (
                side["projection_low"] - slack <= reference["gradient_norm"] <= side["projection_high"] + slack
            )
            row[side["estimator"]] = side
        rows.append(row)
    return rows


def boundary_terms(tables: Path, facts: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Rows of the identity where pathwise misses a tenth or more of the exact gradient, its interval considered.

    Only where the return is declared to jump, if anything is declared: elsewhere a miss is noise, not a boundary term.
    """
    found = []
    for row in identity_rows(tables):
        side, norm = row.get("pathwise"), row["reference"]["gradient_norm"]
        if side is None or not norm > 0 or JUMPS not in facts.get(row["environment"], [JUMPS]):
            continue
        missing = {end: norm - side[f"projection{end}"] for end in ("", "_low", "_high")}
        if missing["_high"] > MISSED * norm or missing["_low"] < -MISSED * norm:
            found.append(
                row | {"missing": missing[""], "missing_low": missing["_high"], "missing_high": missing["_low"]}
            )
    return found


def health_rows(tables: Path) -> list[dict[str, Any]]:
    """Per environment, the worst of what can make an estimate of a variance untrustworthy."""
    statistics = read_table(tables, "gradient_statistics")
    rows = []
    for name in in_order(statistics, "environment"):
        own = statistics[statistics["environment"] == name]
        row: dict[str, Any] = {"environment": name}
        for column in ("tail_share", "nonfinite_fraction", "zero_fraction", "float32_relative_error"):
            values = own[column].dropna()
            row[column] = None
            if len(values):
                worst = own.loc[values.idxmax()].to_dict()
                row[column] = {key: worst[key] for key in ("estimator", "sigma", "checkpoint")} | {
                    "value": values.max()
                }
        rows.append(row)
    return rows


def training_rows(tables: Path) -> list[dict[str, Any]]:
    """Verdicts of training against the best score-function estimator, both statistics side by side."""
    verdicts = read_verdicts(tables)
    verdicts = verdicts[
        (verdicts["criterion"] == "training") & (verdicts["comparison"] == "pathwise_vs_best_score_function")
    ]
    edge = read_table(tables, "training")
    edge = edge[edge["at_grid_edge"]].drop_duplicates(["environment", "sigma", "estimator"])
    rows = []
    for (name, sigma), group in verdicts.groupby(["environment", "sigma"], sort=False):
        at_edge = edge[(edge["environment"] == name) & (edge["sigma"] == sigma)]["estimator"].tolist()
        row: dict[str, Any] = {"environment": name, "sigma": sigma, "edge": at_edge, "statistics": {}}
        for verdict in group.to_dict("records"):
            row["statistics"][verdict["statistic"]] = verdict
            row.setdefault("rival", verdict["rival"])
            row.setdefault("reason", verdict["reason"])
        main = row["statistics"].get("iqm_difference") or next(iter(row["statistics"].values()))
        row["verdict"] = main["verdict"]
        rows.append(row)
    return rows


def tallies(tables: Path) -> list[dict[str, Any]]:
    """Counts of verdicts by comparison and criterion."""
    verdicts = read_verdicts(tables)
    rows = []
    for (comparison, criterion, statistic), group in verdicts.groupby(
        ["comparison", "criterion", "statistic"], sort=False
    ):
        counts = group["verdict"].value_counts()
        names = ("pathwise", "score_function", "undecided", "not_applicable")
        rows.append(
            {"comparison": comparison, "criterion": CRITERIA.get(criterion, criterion), "statistic": statistic}
            | {name: int(counts.get(name, 0)) for name in names}
        )
    return rows


def cell_rows(tables: Path) -> list[dict[str, Any]]:
    """Every cell of both stages, with its main numbers at the first checkpoint."""
    cells = read_table(tables, "cells")
    statistics = read_table(tables, "gradient_statistics")
    statistics = statistics[statistics["checkpoint"] == statistics["checkpoint"].min()]
    references = read_table(tables, "references")
    norms = {(row.environment, row.sigma, row.checkpoint): row.gradient_norm for row in references.itertuples()}
    found = {(row["environment"], row["estimator"], row["sigma"]): row for row in statistics.to_dict("records")}
    rows = []
    for cell in cells.to_dict("records"):
        row: dict[str, Any] = cell | {"state": str(cell["status"]).split(":")[0], "numbers": None}
        measured = found.get((cell["environment"], cell["estimator"], cell["sigma"]))
        if cell["stage"] == "gradients" and measured:
            norm = norms.get((cell["environment"], cell["sigma"], measured["checkpoint"]), math.nan)
            scale = norm**2 if norm > 0 else math.nan
            row["numbers"] = measured | {"relative_bias": measured["squared_bias"] / scale}
        rows.append(row)
    return rows


def estimator_rows(tables: Path, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every estimator with its family, where it runs and what is declared about its bias and its cost."""
    cells = read_table(tables, "cells")
    cells = cells[cells["stage"] == "gradients"]
    planned = [cell for cell in plan.get("cells", []) if cell.get("stage") == "gradients"]
    rows = []
    for name in in_order(cells, "estimator"):
        own = cells[cells["estimator"] == name]
        facts = [cell for cell in planned if cell["estimator"] == name]
        ran = [cell for cell in facts if cell["status"] == "run" and cell["sigma"] > 0]
        biased = list(dict.fromkeys(cell["environment"] for cell in ran if not cell.get("unbiased", True)))
        unbiased = list(dict.fromkeys(cell["environment"] for cell in ran if cell.get("unbiased", True)))
        ratios = sorted({round(cell["steps"] / cell["horizon"], 3) for cell in ran if cell.get("steps")})
        rows.append(
            {
                "name": name,
                "family": facts[0].get("family", "").replace("_", " ") if facts else "",
                "run": int((own["status"] == "run").sum()),
                "total": len(own),
                "bias": "" if not ran else "unbiased" if not biased else "biased" if not unbiased else
                f"biased on {', '.join(map(label, biased))}",
                "steps": ratios,
            }
        )  # fmt: skip
    return rows


def reference_rows(tables: Path) -> list[dict[str, Any]]:
    """Per environment and class, the references' largest relative error and how they were certified."""
    references = read_table(tables, "references")
    rows = []
    for (name, kind), own in references.groupby(["environment", "reference_class"], sort=False):
        relative = own["standard_error"] / own["gradient_norm"].where(own["gradient_norm"] > 0)
        finite = relative.replace([np.inf, -np.inf], np.nan).dropna()
        rows.append(
            {
                "environment": name,
                "kind": str(kind).replace("_", " "),
                "count": len(own),
                "error": float(finite.max()) if len(finite) else None,
                "samples": float(own["samples"].max()),
                "certified": "; ".join(dict.fromkeys(_without_distances(text) for text in own["certified_by"] if text)),
                "smallest": float(own["gradient_norm"].min()),
                "largest": float(own["gradient_norm"].max()),
                "checkpoints": ", ".join(
                    checkpoint_name(value) for value in sorted(own["checkpoint"].dropna().unique())
                ),
            }
        )
    return rows


def _without_distances(text: str) -> str:
    """A certificate without the numbers in which its checkpoints differ; the table of references has them."""
    return re.sub(r" \([-+.\d]+ s\.e\.\)| by [-+.\de]+$", "", text)


def own_versions() -> dict[str, Any]:
    """The versions that render the page, for when no provenance was collected."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"versions": versions}


def _downloads(tables: Path, output: Path) -> list[dict[str, Any]]:
    """The tables that exist, as links relative to the page."""
    found = []
    for name in COLUMNS:
        path = tables / f"{name}.csv"
        if path.is_file():
            link = Path(os.path.relpath(path.resolve(), output.resolve().parent)).as_posix()
            found.append({"name": name, "link": link, "rows": len(read_table(tables, name))})
    return found


def _read_plan(path: Path) -> dict[str, Any]:
    """The plan as far as there is one; its cells, which it keeps as rows, by name of column."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    columns = content.get("columns", [])
    return content | {"cells": [dict(zip(columns, row, strict=True)) for row in content.get("cells", [])]}
