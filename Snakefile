# From speech to a table of word error rates, one training run for each strategy. See README.md.
configfile: "config.yaml"


# Used with `--software-deployment-method apptainer` only; docs/clusters.md says how to build it.
container: "dasr.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/hmm.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/decoding.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    corpus,
    train,
    compare,
    track,
    report,


rule all:
    default_target: True
    input:
        f"{R}/comparison.tsv",
        f"{R}/mlflow/tracked.json",
        f"{R}/report.html",
        # Of these too, what somebody removed is made again, though the table is there.
        expand(
            f"{R}/runs/{{run}}/{{file}}",
            run=RUNS,
            file=["model.safetensors", "heldout.jsonl"],
        ),
        expand(f"{R}/decode/{{run}}/{{lm}}/score.json", run=RUNS, lm=LMS),
    message:
        f"Done: {R}/comparison.tsv, {R}/report.html"
