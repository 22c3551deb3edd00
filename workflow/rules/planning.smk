# On demand: `snakemake --profile local tune plan`. The report and MLflow show a plan that is there before them.
TUNED = f"{R}/tune/tuned.yaml"


rule plan:
    input:
        manifests(FEATURES, "train", "dev"),
        targets("train"),
        targets("dev"),
        # Used where it is there; nobody who asks for a plan alone waits for the tuning.
        TUNED if Path(TUNED).is_file() else [],
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


rule tune:
    input:
        manifests(FEATURES, "train", "dev"),
        targets("train"),
        targets("dev"),
    output:
        TUNED,
    log:
        f"{R}/logs/tune.log",
    threads: 2
    params:
        resolved=resolved,
        cluster=config["simulation"]["cluster"],
        model=config["model"],
        training=config["training"],
        comparison=config["comparison"],
    message:
        "Tuning: each strategy's learning rate in virtual time ({log})"
    shell:
        "dasr tune --config {params.resolved:q} --jobs {threads} 2>&1 | tee -- {log:q}"
