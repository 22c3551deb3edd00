rule compare:
    input:
        expand(f"{R}/decode/{{run}}/{{lm}}/score.json", run=RUNS, lm=LMS),
        expand(f"{R}/runs/{{run}}/heldout.jsonl", run=RUNS),
    output:
        report(
            f"{R}/comparison.tsv",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"what": "table"},
        ),
    log:
        f"{R}/logs/compare.log",
    localrule: True
    params:
        resolved=resolved,
    message:
        "Comparison table ({log})"
    shell:
        "dasr compare --config {params.resolved:q} >{log:q} 2>&1"


# After the table, which nobody shall wait for longer; bounded, and shared by a cache of the user's.
rule predict:
    input:
        ancient(f"{R}/comparison.tsv"),
    output:
        report(
            f"{R}/simulation/speedup.jsonl",
            caption="../report/simulation.rst",
            category="Simulation",
            labels={"what": "predicted throughput"},
        ),
    log:
        f"{R}/logs/predict.log",
    localrule: True
    threads: 2
    params:
        resolved=resolved,
        cluster=config["simulation"]["cluster"],
        learners=config["simulation"]["max_learners"],
        strategies=config["comparison"]["strategies"],
    message:
        "Predicted speed-up of the compared strategies ({log})"
    shell:
        "dasr predict --jobs {threads} --config {params.resolved:q} >{log:q} 2>&1"


rule report:
    input:
        f"{R}/comparison.tsv",
        f"{R}/simulation/speedup.jsonl",
    output:
        report(
            f"{R}/report.html",
            caption="../report/page.rst",
            category="Comparison",
            labels={"what": "report"},
        ),
        report(
            directory(f"{R}/figures"),
            patterns=["{figure}.svg"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"what": "{figure}"},
        ),
    log:
        f"{R}/logs/report.log",
    localrule: True
    params:
        resolved=resolved,
    message:
        "Report and figures ({log})"
    shell:
        "dasr report --config {params.resolved:q} >{log:q} 2>&1"


rule track:
    input:
        f"{R}/comparison.tsv",
        f"{R}/report.html",
    output:
        f"{R}/mlflow/tracked.json",
    log:
        f"{R}/logs/track.log",
    localrule: True
    params:
        resolved=resolved,
        name=config["comparison"]["name"],
    message:
        "MLflow ({log})"
    shell:
        "dasr track --config {params.resolved:q} 2>&1 | tee -- {log:q}"  # it says at which address to look
