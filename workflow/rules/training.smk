# Training: one job per cell, all its seeds and learning rates in one population.


rule train:
    output:
        "results/training/{environment}/{estimator}/sigma={sigma}.csv",
    log:
        "results/logs/training/{environment}/{estimator}/sigma={sigma}.log",
    # the longest jobs go first, so that no core idles at the end
    priority: 50
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        digest=cell_digest("training"),
    shell:
        "scorepath train {wildcards.environment} {wildcards.estimator} {wildcards.sigma} > {log} 2>&1"
