# Gradient statistics: one job per cell.


rule gradients:
    input:
        RULES["gradients"].reads,
    output:
        RULES["gradients"].results,
    log:
        RULES["gradients"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        digest=cell_digest("gradients"),
    shell:
        RULES["gradients"].shell
