# Reference policies and reference gradients: they depend on no estimator and on no list of noise levels.


rule reference_policies:
    output:
        RULES["reference_policies"].results,
    log:
        RULES["reference_policies"].log,
    priority: 100
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        digest=own_digest("reference_policies"),
    shell:
        RULES["reference_policies"].shell


rule reference:
    input:
        RULES["reference"].reads,
    output:
        RULES["reference"].results,
    log:
        RULES["reference"].log,
    priority: 90
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=own_digest("reference"),
    shell:
        RULES["reference"].shell
