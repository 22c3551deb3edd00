rule hmm:
    input:
        manifests("features/mfcc", "train"),
        f"{R}/corpus/lang/lexicon.txt",
        f"{R}/corpus/train/text",
    output:
        f"{R}/hmm/manifest.json",
    log:
        f"{R}/logs/hmm.log",
    threads: 2
    params:
        resolved=resolved,
        hmm=config["hmm"],
    message:
        "HMM system: GMM bootstrap ({log})"
    shell:
        "dasr hmm --config {params.resolved:q} --jobs {threads} >{log:q} 2>&1"


rule align:
    input:
        f"{R}/hmm/manifest.json",
        f"{R}/features/mfcc/{{split}}/{{shard}}/manifest.json",
        f"{R}/corpus/{{split}}/text",
    output:
        f"{R}/alignments/{{split}}/{{shard}}/manifest.json",
    log:
        f"{R}/logs/align/{{split}}-{{shard}}.log",
    params:
        resolved=resolved,
    message:
        "Alignment: {wildcards.split}, shard {wildcards.shard} ({log})"
    shell:
        "dasr align --split {wildcards.split} --shard {wildcards.shard} --jobs {threads} --config {params.resolved:q}"
        " >{log:q} 2>&1"


rule units:
    input:
        f"{R}/corpus/train/text",
        f"{R}/corpus/lang/lexicon.txt",
    output:
        f"{R}/units/manifest.json",
    log:
        f"{R}/logs/units.log",
    params:
        resolved=resolved,
        pieces=_resolved.training.pieces,
    message:
        "Units: pieces of words ({log})"
    shell:
        "dasr units --config {params.resolved:q} >{log:q} 2>&1"


rule lm:
    input:
        f"{R}/corpus/train/text",
        f"{R}/corpus/lang/lexicon.txt",
    output:
        f"{R}/lm/ngram.arpa",
    log:
        f"{R}/logs/lm.log",
    params:
        resolved=resolved,
        order=config["decoding"]["ngram_order"],
    message:
        "Language model: n-gram ({log})"
    shell:
        "dasr lm --config {params.resolved:q} >{log:q} 2>&1"


rule graph:
    input:
        SPELLINGS if CTC else f"{R}/hmm/manifest.json",
        lambda wildcards: (
            f"{R}/lm/ngram.arpa"
            if wildcards.lm == "ngram"
            else f"{R}/corpus/lang/unigram.arpa"
        ),
    output:
        f"{R}/graphs/{{lm}}/manifest.json",
    log:
        f"{R}/logs/graph-{{lm}}.log",
    params:
        resolved=resolved,
        units=_resolved.training.units if CTC else None,
    message:
        "Decoding graph: {wildcards.lm} ({log})"
    shell:
        "dasr graph {wildcards.lm} --config {params.resolved:q} >{log:q} 2>&1"
