# The ledger's own experiments: a job per claim, and a target for each, `snakemake claim_wrong_sign --cores 2`.


rule claim:
    output:
        RULES["claim"].results,
    log:
        RULES["claim"].log,
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=own_digest("claim"),
    shell:
        RULES["claim"].shell


rule claim_figure:
    input:
        RULES["claim_figure"].reads,
    output:
        RULES["claim_figure"].results,
    log:
        RULES["claim_figure"].log,
    priority: -20  # like the other figures
    conda:
        "../envs/scorepath.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        digest=own_digest("claim_figure"),
    shell:
        RULES["claim_figure"].shell


for known in registry.names(registry.CLAIMS):

    rule:
        name:
            f"claim_{known}"
        input:
            tried(known),
