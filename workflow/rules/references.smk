# Reference policies and reference gradients: they depend on no estimator and on no list of noise levels.


rule reference_policies:
    output:
        "results/references/{environment}/policies.npz",
    log:
        "results/logs/references/{environment}/policies.log",
    priority: 100
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        digest=other_digest("policies"),
    shell:
        "scorepath reference-policies {wildcards.environment} > {log} 2>&1"


rule reference:
    input:
        "results/references/{environment}/policies.npz",
    output:
        "results/references/{environment}/sigma={sigma}.npz",
    log:
        "results/logs/references/{environment}/sigma={sigma}.log",
    priority: 90
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=other_digest("references"),
    shell:
        "scorepath reference {wildcards.environment} {wildcards.sigma} > {log} 2>&1"
