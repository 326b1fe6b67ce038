# What is said and done around a run's jobs.
from scorepath.provenance.efficiency import print_efficiency
from scorepath.provenance.findings import print_findings


# Snakemake has its lock here: of two runs that start at once this one goes on, so the folder's plan is its own.
onstart:
    take_up(plan)
    if REPLACED:
        print(REPLACED, file=sys.stderr)


onsuccess:
    print_efficiency()
    print_findings()


onerror:
    print_efficiency()
    print_findings()
