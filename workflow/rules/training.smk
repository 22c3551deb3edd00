rule train:
    input:
        manifests(FEATURES, "train"),
        targets("train"),
    output:
        f"{R}/runs/{{run}}/model.safetensors",
    # How many learners is part of the run; where they run is not: see profiles/.
    log:
        f"{R}/logs/train/{{run}}.log",
    # First all trainings: what follows them is then many small jobs, which fill a machine better.
    priority: 1
    localrule: True
    params:
        resolved=resolved,
        run=lambda wildcards: vars(dasr_config.find_run(_resolved, wildcards.run)),
        model=config["model"],
        training=config["training"],
        # Derived from resources, so that another partition or time limit retrains nothing.
        launch=launch_options,
    message:
        "Training: {wildcards.run} ({log})"
    shell:
        # -i: Ctrl-C is for the command, whose last words pass through tee.
        "dasr train {wildcards.run:q} --config {params.resolved:q} {params.launch} 2>&1 | tee -i -- {log:q}"


rule evaluate:
    input:
        f"{R}/runs/{{run}}/model.safetensors",
        manifests(FEATURES, "dev"),
        targets("dev"),
    output:
        f"{R}/runs/{{run}}/heldout.jsonl",
    log:
        f"{R}/logs/evaluate/{{run}}.log",
    params:
        resolved=resolved,
    message:
        "Held-out loss: {wildcards.run} ({log})"
    shell:
        "dasr evaluate {wildcards.run:q} --config {params.resolved:q} >{log:q} 2>&1"
