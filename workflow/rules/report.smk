rule compare:
    input:
        expand(f"{R}/decode/{{run}}/{{lm}}/score.json", run=RUNS, lm=LMS),
        expand(f"{R}/runs/{{run}}/heldout.jsonl", run=RUNS),
    output:
        f"{R}/comparison.tsv",
    log:
        f"{R}/logs/compare.log",
    params:
        resolved=RESOLVED,
    message:
        "Comparison table ({log})"
    shell:
        "dasr compare --config {params.resolved} >{log} 2>&1"


rule simulate:
    output:
        f"{R}/simulation/speedup.jsonl",
    log:
        f"{R}/logs/simulate.log",
    priority: -1
    threads: 2
    params:
        cluster=config["simulation"]["cluster"],
        learners=config["simulation"]["max_learners"],
    message:
        "Predicted speed-up of every strategy ({log})"
    shell:
        "dasr simulate --speedup --cluster {params.cluster:q} --max-learners {params.learners} --jobs {threads}"
        " --out {output} >{log} 2>&1"


rule report:
    input:
        f"{R}/comparison.tsv",
        f"{R}/simulation/speedup.jsonl",
    output:
        f"{R}/report.html",
    log:
        f"{R}/logs/report.log",
    params:
        resolved=RESOLVED,
    message:
        "Report and figures ({log})"
    shell:
        "dasr report --config {params.resolved} >{log} 2>&1"


rule track:
    input:
        f"{R}/comparison.tsv",
        f"{R}/report.html",
    output:
        f"{R}/mlflow/tracked.json",
    log:
        f"{R}/logs/track.log",
    params:
        resolved=RESOLVED,
        name=config["comparison"]["name"],
    message:
        "MLflow ({log})"
    shell:
        "dasr track --config {params.resolved} >{log} 2>&1"
