# Sweeps: a job per point, a phase diagram per sweep, and two tables of all.


rule sweep_point:
    output:
        RULES["sweep_point"].results,
    log:
        RULES["sweep_point"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("sweep_point"),
    shell:
        RULES["sweep_point"].shell


rule sweep:
    input:
        points_of_sweep,
    output:
        RULES["sweep"].results,
    log:
        RULES["sweep"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("sweep"),
    shell:
        RULES["sweep"].shell


rule sweep_tables:
    input:
        existing(path for name in study.sweeps for path in (diagram_path(name), sweep_crossings_path(name))),
    output:
        RULES["sweep_tables"].results,
    log:
        RULES["sweep_tables"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=plan.digests["sweep_tables"],
    shell:
        RULES["sweep_tables"].shell


rule phase_diagram:
    input:
        RULES["phase_diagram"].reads,
    output:
        report(
            RULES["phase_diagram"].results,
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{sweep}"},
        ),
    log:
        RULES["phase_diagram"].log,
    priority: -20  # like the other figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=own_digest("phase_diagram"),
    shell:
        RULES["phase_diagram"].shell
