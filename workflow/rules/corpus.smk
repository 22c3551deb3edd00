checkpoint corpus:
    input:
        corpus_sources,
    output:
        [
            f"{R}/corpus/{split}/shards/{shard}/wav.scp"
            for split in SHARDS
            for shard in SHARDS[split]
        ],
        [f"{R}/corpus/{split}/text" for split in SHARDS],
        f"{R}/corpus/lang/lexicon.txt",
        f"{R}/corpus/lang/unigram.arpa",
    log:
        f"{R}/logs/corpus.log",
    localrule: True
    params:
        resolved=resolved,
        corpus=config["corpus"],
        shards=config["features"]["shards"],
    message:
        "Corpus: data directories and lexicon ({log})"
    shell:
        "dasr corpus --config {params.resolved:q} >{log:q} 2>&1"
