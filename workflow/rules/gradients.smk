# Gradient statistics: one job per cell.


rule gradients:
    input:
        "results/references/{environment}/policies.npz",
        "results/references/{environment}/sigma={sigma}.npz",
    output:
        "results/gradients/{environment}/{estimator}/sigma={sigma}.csv",
    log:
        "results/logs/gradients/{environment}/{estimator}/sigma={sigma}.log",
    params:
        digest=cell_digest("gradients"),
    conda:
        "../envs/scorepath.yaml"
    shell:
        "scorepath gradients {wildcards.environment} {wildcards.estimator} {wildcards.sigma} > {log} 2>&1"
