# On demand: `snakemake --profile local plan`. The report and MLflow show it when they are made after it.
rule plan:
    input:
        manifests(FEATURES, "train", "dev"),
        targets("train"),
        targets("dev"),
    output:
        f"{R}/plan/plan.json",
        f"{R}/plan/plan.svg",
    log:
        f"{R}/logs/plan.log",
    threads: 2
    params:
        resolved=resolved,
        simulation=config["simulation"],
        model=config["model"],
        training=config["training"],
        comparison=config["comparison"],
    message:
        "Plan: which strategy reaches the target first ({log})"
    shell:
        "dasr plan --config {params.resolved:q} --jobs {threads} 2>&1 | tee -- {log:q}"
