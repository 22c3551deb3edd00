"""Word error rate with its interval, the setting chosen on dev, and NIST's files for sclite.

Errors are counted as sclite counts them (substitution 4, insertion and deletion 3 in the alignment), so
that the figures equal those in the literature to the error. Intervals: `dasr.results.significance`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dasr import checksums
from dasr.decoding import hypotheses
from dasr.decoding.hypotheses import Hypothesis, Setting
from dasr.decoding.transcripts import read_fields, read_references
from dasr.errors import UserError
from dasr.results.layout import Layout
from dasr.results.significance import Words, interval

TIE = 1 << 20  # more than the errors of any utterance


@dataclass(frozen=True)
class Errors:
    """Errors of one system on one test set."""

    subs: int
    dels: int
    ins: int
    words: int  # in the reference

    @property
    def total(self) -> int:
        return self.subs + self.dels + self.ins

    @property
    def wer(self) -> float:
        """Word error rate, percent."""
        return 100.0 * self.total / self.words


def count_errors(references: Mapping[str, Words], said: Mapping[str, Words]) -> Errors:
    """Errors over all `references`, as sclite counts them. Both: utterance -> words, for the same
    utterances."""
    subs = dels = ins = words = 0
    for utterance, reference in references.items():
        counted = _align(reference, said[utterance])
        subs, dels, ins = subs + counted[0], dels + counted[1], ins + counted[2]
        words += len(reference)
    if not words:
        raise UserError("the reference transcripts hold no words: nothing to score")
    return Errors(subs, dels, ins, words)


def _align(reference: Words, said: Words) -> tuple[int, int, int]:
    """Substitutions, deletions, insertions of sclite's alignment.

    Its cost is 4 a substitution and 3 a deletion or insertion; of alignments of equal cost it takes the one
    with fewer errors (kaldialign's sclite mode takes any, and so differs by an error now and then). One
    integer holds both."""
    sub, gap = 4 * TIE + 1, 3 * TIE + 1
    row = [gap * j for j in range(len(said) + 1)]
    for word in reference:
        above, row = row, [row[0] + gap]
        for j, other in enumerate(said):
            row.append(min(above[j] + (sub if word != other else 0), above[j + 1] + gap, row[j] + gap))
    cost, total = divmod(row[-1], TIE)
    subs = cost - 3 * total
    surplus = len(said) - len(reference)  # insertions minus deletions
    return subs, (total - subs - surplus) // 2, (total - subs + surplus) // 2


def choose(
    references: Mapping[str, Words], by_setting: Mapping[Setting, Mapping[str, Words]]
) -> tuple[Setting, dict[Setting, Errors]]:
    """The setting with the fewest errors, and the errors of each.

    Ties, common on a small dev set, go to the penalty with the fewest errors over all its scales, then to
    the middle of the tied scales: the safest distance from either side."""
    errors = {one: count_errors(references, by_setting[one]) for one in sorted(by_setting)}
    fewest = min(one.total for one in errors.values())
    tied = [setting for setting, one in errors.items() if one.total == fewest]

    def over_scales(penalty: float) -> tuple[int, float]:
        return sum(one.total for setting, one in errors.items() if setting.penalty == penalty), penalty

    penalty = min((setting.penalty for setting in tied), key=over_scales)
    tied = [setting for setting in tied if setting.penalty == penalty]
    centre = sum(math.log(setting.scale) for setting in tied) / len(tied)
    return min(tied, key=lambda one: (abs(math.log(one.scale) - centre), one.scale)), errors


def write_nist(
    folder: Path, references: Mapping[str, Words], said: Mapping[str, Hypothesis], speakers: Mapping[str, str]
) -> None:
    """`test.trn ref.trn test.ctm ref.stm`, for sclite and its kin; utterances are the waveforms of ctm and
    stm."""
    order = sorted(references)

    def trn(text: Mapping[str, Words]) -> str:
        return "".join(f"{' '.join([*text[u], f'({u})'])}\n" for u in order)

    _write(folder / "ref.trn", trn(references))
    _write(folder / "test.trn", trn({u: said[u].words for u in order}))
    ctm = [
        f"{u} 1 {begin:.3f} {max(end - begin, 0.001):.3f} {word}\n"
        for u in order
        for word, (begin, end) in zip(said[u].words, said[u].times, strict=True)
    ]
    _write(folder / "test.ctm", "".join(ctm))
    stm = []
    for u in order:
        last = max((end for _, end in said[u].times), default=0.0)
        # The label keeps sclite from taking a first word that begins with "<" for one.
        stm.append(f"{u} 1 {speakers.get(u, u)} 0.000 {last + 0.01:.3f} <O> {' '.join(references[u])}\n")
    _write(folder / "ref.stm", "".join(stm))


def _write(path: Path, text: str) -> None:
    with checksums.sealed(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def choose_on_dev(results: Path, run: str, lm: str) -> tuple[Setting, dict[Setting, Errors]]:
    """The setting with the fewest errors on dev, and the errors on dev of each."""
    dev = hypotheses.read(Layout(results).hypotheses(run, lm, "dev"))
    words = {setting: {u: one.words for u, one in said.items()} for setting, said in dev.items()}
    references, _ = read_references(results, "dev", next(iter(words.values())))
    return choose(references, words)


def chosen_setting(results: Path, run: str, lm: str) -> Setting:
    """The setting that `score` chose on dev. Raises UserError."""
    path = Layout(results).score(run, lm)
    try:
        found = json.loads(checksums.check_bytes(path, path.read_bytes()))
    except OSError as error:
        raise UserError(f"no score at {path} ({error.strerror}): run `dasr score {run} {lm}` first") from None
    if found.get("diverged"):
        raise UserError(f"{run} has diverged: choose another run")
    return Setting(float(found["scale"]), float(found["blank_penalty"]))


def to_try(results: Path, run: str, lm: str, split: str, settings: Sequence[Setting]) -> list[Setting]:
    """All `settings`, but for test the chosen one alone where dev has been decoded: the others would not be
    read."""
    if split == "test" and Layout(results).hypotheses(run, lm, "dev").is_file():
        return [choose_on_dev(results, run, lm)[0]]
    return list(settings)


def score(results: Path, run: str, lm: str) -> dict[str, Any]:
    """Score one run with one language model: write `score.json` and NIST's files, give what score.json
    holds. Of a run that diverged and was not decoded, only that."""
    folder = Layout(results).decoded(run, lm)
    if hypotheses.are_none(folder / "test.jsonl"):
        _write(folder / "score.json", json.dumps({"run": run, "lm": lm, "diverged": True}) + "\n")
        return {"diverged": True}
    setting, dev_errors = choose_on_dev(results, run, lm)
    test = hypotheses.read(folder / "test.jsonl")
    if setting not in test:
        raise UserError(f"{folder}: dev and test were decoded at different settings: decode both again")
    said = test[setting]
    references, rejected = read_references(results, "test", said)
    words = {u: one.words for u, one in said.items()}
    errors = count_errors(references, words)
    low, high = interval(references, words)
    speakers = {u: fields[0] for u, fields in read_fields(Layout(results).data("test") / "utt2spk").items()}
    write_nist(folder, references, said, speakers)
    scales = {one.scale for one in dev_errors}
    found = {
        "run": run,
        "lm": lm,
        "scale": setting.scale,
        "blank_penalty": setting.penalty,
        "scale_at_edge": len(scales) > 1 and setting.scale in (min(scales), max(scales)),
        "wer": errors.wer,
        "wer_low": low,
        "wer_high": high,
        **asdict(errors),
        "utterances": len(references),
        "no_path": sum(one.cost is None for one in said.values()),
        "rejected": rejected,
        "dev_wer": dev_errors[setting].wer,
        "dev_wer_by_scale": {
            str(one.scale): errors.wer for one, errors in dev_errors.items() if one.penalty == setting.penalty
        },
    }
    _write(folder / "score.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return found
