# Timings, and the gathers that turn cells into tables.


rule costs:
    input:
        "results/references/{environment}/policies.npz",
    output:
        "results/costs/{environment}.csv",
    log:
        "results/logs/costs/{environment}.log",
    priority: -10  # last: they keep the cores busy while `tables` gathers the cells on one
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=other_digest("costs"),
    shell:
        "scorepath costs {wildcards.environment} > {log} 2>&1"


rule tables:
    input:
        references=reference_results,
        cells=cell_results("gradients", "training"),
    output:
        cells="results/tables/cells.csv",
        references="results/tables/references.csv",
        gradient_statistics="results/tables/gradient_statistics.csv",
        training="results/tables/training.csv",
        verdicts="results/tables/verdicts.csv",
    log:
        "results/logs/tables/tables.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        digest=plan.digests["tables"],
    shell:
        "scorepath tables > {log} 2>&1"


rule cost_tables:
    input:
        costs=existing(f"results/costs/{name}.csv" for name in environments()),
        references=reference_results,
        cells=cell_results("gradients"),
    output:
        costs="results/tables/costs.csv",
        verdicts_compute="results/tables/verdicts_compute.csv",
    log:
        "results/logs/tables/cost_tables.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        digest=plan.digests["tables"],
    shell:
        "scorepath cost-tables > {log} 2>&1"


rule claims:
    input:
        "results/tables/gradient_statistics.csv",
        "results/tables/references.csv",
        "results/tables/verdicts.csv",
    output:
        "results/tables/claims.csv",
    log:
        "results/logs/tables/claims.log",
    priority: -20  # like the figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["claims"],
    shell:
        "scorepath claims > {log} 2>&1"


rule exact_curves:
    input:
        existing(map(policies_path, environments())),
    output:
        "results/tables/exact_curves.csv",
    log:
        "results/logs/tables/exact_curves.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=plan.digests["exact_curves"],
    shell:
        "scorepath exact-curves > {log} 2>&1"
