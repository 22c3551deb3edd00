# One job a run: the network's posteriors are computed once and searched with every language model. Of one core:
# runs side by side keep all cores busy, which the start of one job and its network do not.
rule decode:
    input:
        f"{R}/runs/{{run}}/model.safetensors",
        # A run that diverged is not decoded.
        f"{R}/runs/{{run}}/heldout.jsonl",
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
    params:
        resolved=resolved,
        decoding=[
            config["decoding"][key]
            for key in (
                "beam",
                "max_active",
                "acoustic_scales",
                "blank_penalties",
                "diverged",
            )
        ],
    message:
        "Decoding: {wildcards.run} ({log})"
    shell:
        "dasr decode {wildcards.run:q} all all --jobs {threads} --config {params.resolved:q} >{log:q} 2>&1"


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
        resolved=resolved,
    message:
        "Scoring: {wildcards.run} ({log})"
    shell:
        "dasr score {wildcards.run:q} all --config {params.resolved:q} >{log:q} 2>&1"
