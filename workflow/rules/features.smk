rule features:
    input:
        table_of_shard,
    output:
        f"{R}/features/{{kind}}/{{split}}/{{shard}}/manifest.json",
    log:
        f"{R}/logs/features/{{kind}}-{{split}}-{{shard}}.log",
    params:
        resolved=resolved,
        audio=audio_of_shard,
        bins=config["features"]["bins"],
        corpus=[
            config["corpus"][key]
            for key in ("sample_rate", "resample", "allow_pipes", "max_bad_fraction")
        ],
    message:
        "Features: {wildcards.kind} of {wildcards.split}, shard {wildcards.shard} ({log})"
    shell:
        "dasr features {wildcards.kind} --split {wildcards.split} --shard {wildcards.shard} --config {params.resolved:q}"
        " >{log:q} 2>&1"


rule adapt:
    input:
        f"{R}/features/mfcc/{{split}}/{{shard}}/manifest.json",
        f"{R}/hmm/manifest.json",
        f"{R}/graphs/unigram/manifest.json",
    output:
        f"{R}/features/fmllr/{{split}}/{{shard}}/manifest.json",
    log:
        f"{R}/logs/adapt/{{split}}-{{shard}}.log",
    threads: 2
    params:
        resolved=resolved,
    message:
        "Features: fMLLR of {wildcards.split}, shard {wildcards.shard} ({log})"
    shell:
        "dasr adapt --split {wildcards.split} --shard {wildcards.shard} --jobs {threads}"
        " --config {params.resolved:q} >{log:q} 2>&1"
