# Figures and the report: they read tables only.

TABLES = expand(
    "results/tables/{table}.csv",
    table=[
        "cells",
        "references",
        "gradient_statistics",
        "training",
        "verdicts",
        "costs",
        "verdicts_compute",
        "exact_curves",
    ],
)


rule figure:
    input:
        # what it reads, so that timings redraw only the figures that show them
        lambda wildcards: expand("results/tables/{table}.csv", table=FIGURES[wildcards.figure].reads),
    output:
        report(
            "results/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "results/logs/figures/{figure}.log",
    wildcard_constraints:
        figure="|".join(FIGURES),
    priority: -20  # after the costs: then one core draws while `cost_tables` keeps the other
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["figures"],
    shell:
        "scorepath figure {wildcards.figure} > {log} 2>&1"


rule html_report:
    input:
        TABLES,
        "results/tables/claims.csv",
        figures=expand("results/figures/{figure}.svg", figure=FIGURES),
    output:
        report(
            "reports/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"document": "the answer"},
        ),
    log:
        "results/logs/report.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["report"],
    shell:
        "scorepath report > {log} 2>&1"


rule crate:
    input:
        TABLES,
        "results/tables/claims.csv",
        "reports/report.html",
    output:
        "reports/crate.zip",
    log:
        "results/logs/crate.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["crate"],
    shell:
        "scorepath crate > {log} 2>&1"
