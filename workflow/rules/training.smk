# Training: one job per cell, all its seeds and learning rates in one population.


rule train:
    output:
        RULES["train"].results,
    log:
        RULES["train"].log,
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
        RULES["train"].shell
