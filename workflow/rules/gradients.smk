# Gradient statistics: one job per cell.


rule gradients:
    input:
        "results/references/{environment}/policies.npz",
        "results/references/{environment}/sigma={sigma}.npz",
    output:
        "results/gradients/{environment}/{estimator}/sigma={sigma}.csv",
    log:
        "results/logs/gradients/{environment}/{estimator}/sigma={sigma}.log",
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=cell_digest("gradients"),
    shell:
        "scorepath gradients {wildcards.environment} {wildcards.estimator} {wildcards.sigma} > {log} 2>&1"
