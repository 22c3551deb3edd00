# One job a run: the network's posteriors are computed once and searched with every language model.
rule decode:
    input:
        f"{R}/runs/{{run}}/model.safetensors",
        expand(f"{R}/graphs/{{lm}}/manifest.json", lm=LMS),
        manifests(FEATURES, "dev", "test"),
    output:
        expand(
            f"{R}/decode/{{{{run}}}}/{{lm}}/{{split}}.jsonl",
            lm=LMS,
            split=["dev", "test"],
        ),
    log:
        f"{R}/logs/decode/{{run}}.log",
    threads: 2
    params:
        resolved=RESOLVED,
        decoding=[
            config["decoding"][key]
            for key in ("beam", "max_active", "acoustic_scales")
        ],
    message:
        "Decoding: {wildcards.run} ({log})"
    shell:
        "dasr decode {wildcards.run} all all --jobs {threads} --config {params.resolved} >{log} 2>&1"


rule score:
    input:
        expand(
            f"{R}/decode/{{{{run}}}}/{{lm}}/{{split}}.jsonl",
            lm=LMS,
            split=["dev", "test"],
        ),
        f"{R}/corpus/dev/text",
        f"{R}/corpus/test/text",
    output:
        expand(f"{R}/decode/{{{{run}}}}/{{lm}}/score.json", lm=LMS),
    log:
        f"{R}/logs/score/{{run}}.log",
    params:
        resolved=RESOLVED,
    message:
        "Scoring: {wildcards.run} ({log})"
    shell:
        "dasr score {wildcards.run} all --config {params.resolved} >{log} 2>&1"
