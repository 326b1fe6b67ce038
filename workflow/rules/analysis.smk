# Timings, and the gathers that turn cells into tables.


rule costs:
    input:
        RULES["costs"].reads,
    output:
        RULES["costs"].results,
    log:
        RULES["costs"].log,
    priority: -10  # last: they keep the cores busy while `tables` gathers the cells on one
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("costs"),
    shell:
        RULES["costs"].shell


rule exact_curves:
    input:
        RULES["exact_curves"].reads,
    output:
        RULES["exact_curves"].results,
    log:
        RULES["exact_curves"].log,
    priority: 80  # few and short: `tables` waits for them
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("exact_curves"),
    shell:
        RULES["exact_curves"].shell


rule signals:
    input:
        RULES["signals"].reads,
    output:
        RULES["signals"].results,
    log:
        RULES["signals"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("signals"),
    shell:
        RULES["signals"].shell


rule probes:
    input:
        RULES["probes"].reads,
    output:
        RULES["probes"].results,
    log:
        RULES["probes"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("probes"),
    shell:
        RULES["probes"].shell


rule landscapes:
    input:
        RULES["landscapes"].reads,
        along=lambda wildcards: reference_path(wildcards.environment, study.landscape_level(wildcards.environment)),
    output:
        RULES["landscapes"].results,
    log:
        RULES["landscapes"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("landscapes"),
    shell:
        RULES["landscapes"].shell


rule landscape_tables:
    input:
        existing(path for name in environments() for path in (landscape_path(name), episode_path(name))),
    output:
        RULES["landscape_tables"].results,
    log:
        RULES["landscape_tables"].log,
    priority: -20  # like the figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["landscape_tables"],
    shell:
        RULES["landscape_tables"].shell


rule tables:
    input:
        references=reference_results,
        curves=existing(map(curves_path, environments())),
        cells=cell_results("gradients", "training"),
    output:
        RULES["tables"].results,
    log:
        RULES["tables"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        digest=plan.digests["tables"],
    shell:
        RULES["tables"].shell


rule cost_tables:
    input:
        costs=existing(map(costs_path, environments())),
        # it reads the cells, as `tables` does: through that, for they would be thousands of edges once more
        cells=table_path("gradient_statistics"),
    output:
        RULES["cost_tables"].results,
    log:
        RULES["cost_tables"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        digest=plan.digests["cost_tables"],
    shell:
        RULES["cost_tables"].shell


rule mechanisms:
    input:
        RULES["mechanisms"].reads,
        signals=existing(map(signals_path, environments())),
    output:
        RULES["mechanisms"].results,
    log:
        RULES["mechanisms"].log,
    priority: -20  # like the figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["mechanisms"],
    shell:
        RULES["mechanisms"].shell


rule questions:
    output:
        RULES["questions"].results,
    log:
        RULES["questions"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["questions"],
    shell:
        RULES["questions"].shell


rule advisor:
    input:
        RULES["advisor"].reads,
        probes=existing(map(probes_path, environments())),
    output:
        RULES["advisor"].results,
    log:
        RULES["advisor"].log,
    priority: -20  # like the figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["advisor"],
    shell:
        RULES["advisor"].shell


rule claims:
    input:
        RULES["claims"].reads,
        existing(map(claim_path, study.claims)),
    output:
        RULES["claims"].results,
    log:
        RULES["claims"].log,
    priority: -20  # like the figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    params:
        digest=plan.digests["claims"],
    shell:
        RULES["claims"].shell
