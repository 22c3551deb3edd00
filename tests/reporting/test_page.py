"""The report: one file, every figure, every note."""

import base64
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.reporting.command import report
from tests.support import synthetic


@pytest.mark.slow
def test_the_report_stands_alone_and_shows_everything_twice_alike(made: Path) -> None:
    results = made.parent / "results"
    (results / "simulation").mkdir(exist_ok=True)
    lines = [f'{{"strategy": "ad", "learners": {n}, "speedup": {0.9 * n}}}\n' for n in (1, 4, 16)]
    (results / "simulation" / "ad.jsonl").write_text("".join(lines))
    pages = []
    for _ in range(2):
        CliRunner().invoke(report, ["--config", str(made)], catch_exceptions=False)
        pages.append((results / "report.html").read_text())
    page = pages[0]
    assert pages[1] == page, "the same results give the same bytes, so tracking finds nothing new"
    assert not re.findall(r'src="(?!data:)', page)
    links = set(re.findall(r'href="([^"]+)"', page))
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside == {"comparison", "figures", "corpus", "settings", "more"}
    assert all(f'id="{name}"' in page for name in inside)
    beside = {link for link in links if not link.startswith(("#", "http://127.0.0.1"))}
    assert "runs/ad-L4-B32-S0/" in beside and all(
        (results / link).exists() for link in beside - {"comparison.tsv"}
    )
    figures = re.findall(r'<figure id="(\w+)">', page)
    assert figures == [
        "wer_time", "heldout_epochs", "heldout_seconds", "wer", "time_use", "bytes", "staleness", "speedup",
    ]  # fmt: skip
    for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page):
        assert b"<svg" in base64.b64decode(data)[:1000]
    assert {path.name for path in (results / "figures").iterdir()} == {
        f"{name}.{kind}" for name in figures for kind in ("svg", "png")
    }
    assert "spk3-u999" in page and "audio is empty" in page
    assert "commit" in page and "acoustic_scales" in page


@pytest.mark.parametrize("parts", ["runs", "decode"])
def test_a_comparison_with_parts_missing_is_reported_as_far_as_it_goes(tmp_path: Path, parts: str) -> None:
    config_path = synthetic.make(tmp_path, strategies=["sc-allreduce", "ad"], seeds=[0], learners=[2, 4])
    gone = tmp_path / "results" / parts / "ad-L4-B32-S0"
    gone.rename(tmp_path / "gone")
    (tmp_path / "results" / "runs" / "ad-L2-B32-S0" / "heldout.jsonl").unlink()
    result = CliRunner().invoke(report, ["--config", str(config_path)], catch_exceptions=False)
    assert result.exit_code == 0
    page = (tmp_path / "results" / "report.html").read_text()
    assert "ad-L4-B32-S0: no" in page and "ad-L2-B32-S0: no held-out loss yet" in page


def test_what_a_plan_answered_is_in_the_report_and_damage_to_it_is_one_line(tmp_path: Path) -> None:
    config_path = synthetic.make(tmp_path, strategies=["sc-allreduce"], seeds=[0], learners=[2])
    folder = tmp_path / "results" / "plan"
    folder.mkdir()
    rows = [{"strategy": "bmuf", "time to target": "12 s"}]
    plan = {"target": "ce <= 1.9", "cluster": "here", "sentences": ["On 'here' take bmuf."], "rows": rows}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "plan.svg").write_text("<svg/>")
    CliRunner().invoke(report, ["--config", str(config_path)], catch_exceptions=False)
    page = (tmp_path / "results" / "report.html").read_text()
    assert "On &#39;here&#39; take bmuf." in page and "12 s" in page and 'href="#plan"' in page
    assert base64.b64encode(b"<svg/>").decode() in page
    (folder / "plan.json").write_text('{"target"')
    with pytest.raises(UserError, match=r"plan.json is damaged.*dasr plan"):
        CliRunner().invoke(report, ["--config", str(config_path)], catch_exceptions=False)
