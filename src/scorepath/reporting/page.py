"""Renders `reports/report.html`: the answer first, then the evidence, then every cell and how it was made.

Everything the page says with a number is computed here from the study's tables; the template only lays it out. Jinja
escapes all of it. The page refers to nothing outside itself except, by relative links, the tables it was made from.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scorepath.figures import FIGURES
from scorepath.figures.wording import BIAS_SEEN, label, wants
from scorepath.provenance.efficiency import latest_run
from scorepath.reporting import calibration
from scorepath.reporting.answer import CRITERIA, answer_sentences, decisions
from scorepath.reporting.rows import (
    boundary_terms,
    cell_rows,
    declared_facts,
    estimator_rows,
    health_rows,
    identity_rows,
    judged_by,
    reference_rows,
    tallies,
    training_rows,
)
from scorepath.reporting.summaries import IN_HEADS, regret_rows, win_rows
from scorepath.reporting.why import mechanism_rows, why_sentences
from scorepath.store.files import atomic_write
from scorepath.store.paths import TABLES, sigma_token
from scorepath.store.records import all_records
from scorepath.store.tables import COLUMNS, Tables
from scorepath.study.cells import Plan

UNFINISHED = ("failed", "missing")


@dataclass(frozen=True)
class Picture:
    """A figure as the page embeds it."""

    name: str
    title: str
    description: str
    uri: str


def render_report(
    tables: Tables, figures: Path, plan: Plan | None, output: Path, provenance: Mapping[str, Any]
) -> None:
    """Write the report; whatever is missing is said on the page instead of stopping it.

    `provenance` is shown as given; nested mappings become nested tables.
    """
    output = Path(output)
    environment = Environment(
        loader=PackageLoader("scorepath.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, label=label, sigma=sigma_token)
    source = environment.loader.get_source  # type: ignore[union-attr]
    facts = declared_facts(plan)
    rows, columns = decisions(tables, facts)
    cells = tables.read("cells")
    page = environment.get_template("report.html.j2").render(
        css=Markup(source(environment, "report.css")[0]),
        js=Markup(source(environment, "report.js")[0]),
        judged_by=judged_by(tables),
        sentences=answer_sentences(tables),
        decisions=rows,
        criteria={key: (CRITERIA[key], tokens) for key, tokens in columns.items()},
        unfinished=cells[cells["status"].isin(UNFINISHED)].to_dict("records"),
        absent=absent(tables, plan),
        pictures={name: picture(Path(figures) / f"{name}.svg") for name in FIGURES},
        diagrams={
            entry["name"]: picture(Path(figures) / "sweeps" / f"{entry['name']}.svg")
            for entry in (plan.config.get("sweeps", ()) if plan else ())
        },
        crossings=tables.read("crossings").to_dict("records"),
        identity=identity_rows(tables, facts),
        boundary_terms=boundary_terms(tables, facts),
        health=health_rows(tables),
        why=why_sentences(tables),
        mechanisms=mechanism_rows(tables),
        training=training_rows(tables),
        trains=cells.empty or wants(cells, "training") or not tables.read("training").empty,
        tallies=tallies(tables),
        compared=IN_HEADS,
        calibration=calibration.tables(calibration.recorded()),
        wins=win_rows(tables),
        regrets=regret_rows(tables),
        cells=cell_rows(tables),
        bias_seen=BIAS_SEEN,
        estimators=estimator_rows(tables, plan),
        references=reference_rows(tables),
        claims=tables.read("claims").to_dict("records"),
        fingerprint=plan.fingerprint if plan else "",
        config=json.dumps(plan.config, indent=2, ensure_ascii=False) if plan else "",
        settings=plan.config if plan else {},
        provenance=provenance,
        run=latest_run(all_records()) if tables.folder == TABLES else None,  # records are of the study in this folder
        downloads=_downloads(tables, output),
    )
    with atomic_write(output) as file:
        file.write(page)


def absent(tables: Tables, plan: Plan | None) -> list[str]:
    """What sweeps and claims of the study have no result, in words: "2 of 4 points of the sweep stiff"."""
    if plan is None:
        return []
    diagrams, claims = tables.read("phase_diagrams"), set(tables.read("claims")["claim"])
    measured = diagrams[diagrams["kind"] == "measured"].drop_duplicates(["sweep", "x", "y"])["sweep"].value_counts()
    found = []
    for entry in plan.config.get("sweeps", ()):
        points = math.prod(map(len, entry["axes"].values()))
        if lacking := points - int(measured.get(entry["name"], 0)):
            found.append(f"{lacking} of {points} points of the sweep {label(entry['name'])}")
    tried = plan.config.get("claims", ())
    return found + [f"the claim {name}" for name in tried if name.replace("_", "-") not in claims]


def fingerprint_of(report: Path) -> str:
    """The fingerprint of the plan that a report was made of; "" if there is no such report."""
    try:
        with report.open(encoding="utf-8") as file:
            head = file.read(2000)
    except (OSError, ValueError):
        return ""
    found = re.search(r'<meta name="scorepath-plan" content="(\w+)">', head)
    return found[1] if found else ""


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


def _downloads(tables: Tables, output: Path) -> list[dict[str, Any]]:
    """The tables that exist, as links relative to the page."""
    found = []
    for name in COLUMNS:
        path = tables.folder / f"{name}.csv"
        if path.is_file():
            link = Path(os.path.relpath(path.resolve(), output.resolve().parent)).as_posix()
            found.append({"name": name, "link": link, "rows": len(tables.read(name))})
    return found
