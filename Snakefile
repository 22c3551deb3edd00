# `snakemake` at the top of a clone runs the workflow in workflow/, the folder where catalogues of workflows look for it.
# A plain include would not carry its default target over.
configfile: "config.yaml"


module dasr:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from dasr
