# When do pathwise gradients beat REINFORCE? A cell is environment x estimator x noise level sigma.
#   results/plan.json                                             every cell and its status (`scorepath plan`)
#   results/references/{environment}/policies.npz                 checkpoints, the same for all estimators
#   results/references/{environment}/sigma={sigma}.npz            reference gradients at the checkpoints
#   results/gradients/{environment}/{estimator}/sigma={sigma}.csv gradient statistics, one row per block
#   results/training/{environment}/{estimator}/sigma={sigma}.csv  learning curves
#   results/exact_curves/{environment}.csv                        exact lines over the noise level
#   results/signals/{environment}.csv                             moments of the pathwise action signals
#   results/landscapes/{environment}/line.csv                     the return along a line through each checkpoint
#   results/landscapes/{environment}/trajectory.csv               one trajectory of each checkpoint, without noise
#   results/probes/{environment}.csv                              what the advisor sees of an environment
#   results/costs/{environment}.csv                               seconds and memory per sample
#   results/advisor/model.json                                    its model, fitted to this study
#   results/sweeps/{sweep}/{point}.csv                            one point of a sweep, one row per replicate
#   results/phase_diagrams/{sweep}/diagram.csv                       a sweep gathered, with the exact surface
#   results/phase_diagrams/{sweep}/crossings.csv                  its crossings: predicted, exact, measured
#   results/claims/{claim}.csv                                    one claim of the ledger, tried
#   results/tables/{table}.csv                                    tidy tables (docs/outputs.md)
#   results/figures/{figure}.svg                                  figures
#   results/figures/sweeps/{sweep}.svg                            phase diagrams
#   results/figures/claims/{claim}.svg                            the ledger, claim by claim
#   reports/report.html                                           the answer
#   reports/crate.zip                                             the run, packed and described for machines

from snakemake.utils import min_version

min_version("9.0")

# A study file is whole: one given with --configfile replaces config.yaml.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/hooks.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/references.smk"
include: "workflow/rules/gradients.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/sweeps.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        # the report would do, but a result that someone, or `scorepath repair`, has deleted is to be made again
        reference_results,
        rules.tables.input.curves,
        rules.cost_tables.input.costs,
        cell_results("gradients", "training"),
        rules.report.input,
        RULES["report"].results,
        RULES["crate"].results,
