# Figures and the report: they read tables only.


rule figure:
    input:
        # what it reads, so that timings redraw only the figures that show them
        lambda wildcards: tables_there(FIGURES[wildcards.figure].reads),
    output:
        report(
            RULES["figure"].results,
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        RULES["figure"].log,
    wildcard_constraints:
        figure="|".join(FIGURES),
    priority: -20  # after the costs: then one core draws while `cost_tables` keeps the other
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["figure"],
    shell:
        RULES["figure"].shell


rule report:
    input:
        tables_there(RULE_OF_TABLE),
        figures=expand(RULES["figure"].results, figure=FIGURES),
        diagrams=list(map(sweep_figure_path, study.sweeps)),
        claims=list(map(claim_figure_path, study.claims)),
    output:
        report(
            RULES["report"].results,
            caption="../report/report.rst",
            category="Report",
            labels={"document": "the answer"},
        ),
    log:
        RULES["report"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["report"],
    shell:
        RULES["report"].shell


rule crate:
    input:
        tables_there(RULE_OF_TABLE),
        RULES["report"].results,
    output:
        RULES["crate"].results,
    log:
        RULES["crate"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["crate"],
    shell:
        RULES["crate"].shell
