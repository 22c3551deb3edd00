"""Records say what was measured, on what and with which code; the pages are what the records give."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import records, report
from benchmarks.records import Hardware, Record
from dasr.errors import UserError


def of(what: records.What, rows: list[dict[str, Any]], date: str = "2026-01-02", gpus: int = 0) -> Record:
    hardware = Hardware(cpu="Example 9000 8-Core Processor", cores=8, gpus=["NVIDIA X100 80GB"] * gpus)
    return Record(
        what=what,
        command="python -m benchmarks.example",
        date=datetime.date.fromisoformat(date),
        hardware=hardware,
        commit="abc",
        dirty=False,
        versions={"python": "3.11"},
        rows=rows,
    )


def test_every_generated_page_is_what_the_records_give() -> None:
    for path, text in report.pages(records.read_all()):
        assert path.read_text(encoding="utf-8") == text, f"run `python -m benchmarks.report`: {path.name}"


def test_the_performance_page_has_at_most_900_words_outside_its_tables() -> None:
    lines = (records.ROOT / "docs" / "performance.md").read_text(encoding="utf-8").splitlines()
    assert sum(len(line.split()) for line in lines if not line.startswith("|")) <= 900


def test_a_record_that_is_written_is_read_back_equal(tmp_path: Path) -> None:
    made = records.make("features", [{"kind": "fbank", "dasr_x_real_time": 7000}], {"repeat": 1})
    path = records.write(made, tmp_path)
    assert path.name == made.name() and path.parent == tmp_path
    assert records.read(path) == made


def test_a_second_record_of_a_day_does_not_replace_the_first(tmp_path: Path) -> None:
    first, second = (records.write(of("features", [{"run": run}]), tmp_path) for run in (1, 2))
    assert (first.name, second.name) == (
        "features_example-9000_2026-01-02.json",
        "features_example-9000_2026-01-02-2.json",
    )
    assert records.read(first).rows == [{"run": 1}]


def test_a_record_knows_the_machine_and_the_code_it_was_made_with() -> None:
    made = records.make("features", [])
    assert made.hardware.cpu and made.hardware.cores and made.hardware.gpus == []
    assert made.versions.keys() >= {"python", "torch", "numpy"}
    assert (made.commit is None) == (made.dirty is None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"what": "speeed"}, "what: "),
        ({"colour": "blue"}, "colour: "),
        ({"date": "yesterday"}, "date: "),
        ({"hardware": {"cpu": "x", "cores": "many", "gpus": []}}, "hardware.cores: "),
        ({"rows": None}, "rows: "),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_name_and_the_field(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(of("features", []).model_dump(mode="json") | change))
    with pytest.raises(UserError, match=rf"wrong\.json: .*{told}"):
        records.read(path)


def speed(**row: Any) -> dict[str, Any]:
    return {"batch": 256, "what": "ad", "kframes_per_s": 1000.0, "efficiency": 0.9} | row


def test_a_cell_shows_the_range_over_all_runs_of_the_newest_day_only() -> None:
    found = {
        "old.json": of("throughput", [speed(efficiency=0.5)], "2026-01-01", 2),
        "a.json": of("throughput", [speed(efficiency=0.9)], "2026-01-02", 2),
        "b.json": of("throughput", [speed(efficiency=0.8, kframes_per_s=3000.0)], "2026-01-02", 2),
    }
    shown = report.Throughput(found)
    assert "| 2 x X100 | ad | 2,000 | 0.800 to 0.900 (2) |" in shown.strategies()
    assert shown.files() == ["a.json", "b.json"]


def test_a_range_that_was_kept_as_bounds_counts_all_its_runs() -> None:
    row = {"batch": 256, "what": "ad", "efficiency_min": 0.91, "efficiency_max": 0.95, "runs": 6}
    found = {"a.json": of("throughput", [speed(efficiency=0.9), row], gpus=2)}
    assert "0.900 to 0.950 (7)" in report.Throughput(found).strategies()


def test_a_speed_that_was_not_kept_is_computed_from_efficiency_and_the_step_alone() -> None:
    row = {"batch": 256, "what": "ad", "efficiency": 0.5, "alone_ms": 5.376}  # alone: 1,000 kframes/s
    found = {"a.json": of("throughput", [row], gpus=4)}
    assert "| 4 x X100 | ad | 2,000 | 0.500 |" in report.Throughput(found).strategies()


def test_runs_with_another_transport_are_not_in_the_table() -> None:
    usual = of("throughput", [speed()], gpus=2)
    other = of("throughput", [speed(efficiency=0.1)], "2026-01-03", 2)
    found = {"a.json": usual, "b.json": other.model_copy(update={"settings": {"peer_memory": "0"}})}
    assert "0.100" not in report.Throughput(found).strategies()


def test_the_best_rate_of_each_strategy_and_batch_is_bold() -> None:
    def row(rate: float, mean: float) -> dict[str, Any]:
        losses = [mean, mean - 0.1, mean + 0.1]
        return {
            "batch": 64, "strategy": "sd", "rate": rate, "seeds": 3, "diverged": 0, "heldout": losses,
            "heldout_half_way": losses, "consensus_distance": 1.0, "staleness": 0.0,
        }  # fmt: skip

    diverged = {"batch": 64, "strategy": "sd", "rate": 4.0, "seeds": 3, "diverged": 3}
    lines = report.findings_table([row(1.0, 2.0), row(2.0, 1.0), diverged]).splitlines()
    assert [line.count("**") for line in lines] == [0, 0, 0, 2, 0]
    assert "diverged in 3" in lines[-1]


def test_the_difference_of_a_smoke_case_is_that_of_the_means_over_seeds_both_have() -> None:
    losses = {"loss": {"0": 2.0, "1": 4.0}, "reference_loss": {"0": 1.0, "1": 3.0, "2": 100.0}}
    record = of("smoke-matrix", [{"case": "sd", **losses}, {"case": "ad", "difference_percent": 1.5}])
    assert report.smoke_differences(record) == {"sd": pytest.approx(50.0), "ad": 1.5}


def test_a_missing_kind_of_record_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="no record of 'findings'"):
        report.render("findings-runs.md.jinja", {})


def test_a_codec_is_compared_with_the_first_one_over_the_seeds_that_it_has() -> None:
    losses = {("fp32", 0): 1.0, ("fp32", 1): 3.0, ("sign", 1): 3.3}
    rows = [
        {"compression": spec, "seed": seed, "heldout": loss, "mb_sent": 64.0 if spec == "fp32" else 2.0}
        for (spec, seed), loss in losses.items()
    ]
    found = report.compression_table(of("compression", rows))
    assert "| `fp32` | 2 | 2.000 (1.000 - 3.000) | +0.0 % | 64 | 1.0 |" in found
    assert "| `sign` | 1 | 3.300 (3.300 - 3.300) | +10.0 % | 2 | 32.0 |" in found
