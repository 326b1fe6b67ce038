# What a job asks of a cluster; a run on one machine heeds none of it. Memory holds the job (0.3 to 0.9 GB in the default
# study), the Snakemake processes around it, and room to spare.


def memory(megabytes):
    """The resource `mem_mb`: twice as much with every attempt."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def minutes(duration):
    """The resource `runtime`: twice as long with every attempt, for Snakemake isn't told what a killed job lacked."""
    return lambda wildcards, attempt: duration * 2 ** (attempt - 1)
