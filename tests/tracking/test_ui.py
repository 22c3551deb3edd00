"""MLflow's own pages, in a real browser: runs listed, one chart of held-out loss, WER sortable.

    DASR_CONFIG=config.yaml DASR_SCREENSHOTS=docs/screenshots pytest tests/tracking/test_ui.py

looks at a finished comparison instead of a made-up one, and keeps the pictures.
"""

import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.config import Config
from dasr.results import records
from dasr.tracking.command import track
from dasr.tracking.store import tracking_uri
from tests.support import synthetic

pytestmark = pytest.mark.slow
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1900,1000",
]  # fmt: skip
PATIENCE_S = 90
T = TypeVar("T")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The config of a comparison that has been tracked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        path = os.environ.get("DASR_CONFIG")
        if path is None:
            path = str(synthetic.make(tmp_path_factory.mktemp("ui"), seeds=[0]))
        CliRunner().invoke(track, ["--config", path], catch_exceptions=False)
        yield dasr_config.load(path)


@pytest.fixture(scope="module")
def address(comparison: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real `mlflow server` on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = tracking_uri(Path(comparison.results))
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "w") as stream:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=stream, stderr=stream, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        place = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{place}/health"), lambda: log.read_text()[-2000:])
        yield place
    finally:
        server.terminate()
        server.wait(30)


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def until(condition: Callable[[], T], what: Callable[[], str] = lambda: "the page") -> T:
    """The first true value of `condition`, or a failure that says what was there instead."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, what()
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium IS MISSING: pip install selenium")
    if chromium is None or driver is None:
        pytest.skip(
            "Chromium IS MISSING, so MLflow's pages were not seen: apt install chromium chromium-driver"
        )
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    window = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield window
    window.quit()


def picture(browser: Any, name: str) -> None:
    folder = os.environ.get("DASR_SCREENSHOTS")
    if folder:
        time.sleep(2)  # animations
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def tracked(comparison: Config) -> Any:
    return json.loads((Path(comparison.results) / "mlflow" / "tracked.json").read_text())


def click(browser: Any, xpath: str) -> None:
    until(lambda: browser.find_elements("xpath", xpath), lambda: f"no {xpath} on the page")[0].click()


def column(browser: Any, name: str) -> list[float]:
    """Numbers in a metric's column, from the top; nothing while the page is being drawn anew."""
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        cells = browser.find_elements("css selector", f"[role='gridcell'][col-id*='{name}`']")
        rows = [
            (float(cell.find_element("xpath", "..").get_attribute("row-index")), cell.text) for cell in cells
        ]
    except StaleElementReferenceException:
        return []
    return [float(text) for _, text in sorted(rows) if text not in ("", "-")]


def sort_by(browser: Any, name: str) -> None:
    header = f"//*[contains(@class,'ag-header-cell')]//*[normalize-space()='{name}']"
    until(lambda: [one for one in browser.find_elements("xpath", header) if one.is_displayed()])[-1].click()


def test_the_comparisons_runs_are_listed_and_sort_by_word_error_rate(
    browser: Any, address: str, comparison: Config
) -> None:
    stamp, name = tracked(comparison), comparison.comparison.name
    browser.get(f"{address}/#/experiments/{stamp['experiment']}/runs")

    def text() -> str:
        return str(browser.find_element("tag name", "body").text)

    until(lambda: "matching runs" in text(), text)
    for close in browser.find_elements("css selector", "button[aria-label='Close']"):
        close.click()  # the assistant's panel
    click(browser, f"//div[@role='gridcell'][.//a[normalize-space()='{name}']]//button")  # unfold the parent
    until(lambda: all(run in text() for run in stamp["runs"]), text)
    click(browser, "//button[normalize-space()='Columns']")
    for metric in ("wer_unigram", "wer_ngram", "heldout_ce"):
        click(browser, f"//span[@title='{metric}']")
        until(functools.partial(browser.find_elements, "css selector", f"[col-id*='{metric}`']"))
    click(browser, "//button[normalize-space()='Columns']")
    scored = sorted(one.scores["unigram"]["wer"] for one in records.read_comparison(comparison).runs)
    sort_by(browser, "wer_unigram")

    def in_order() -> list[float]:
        found = column(browser, "wer_unigram")
        return found if found in (sorted(found), sorted(found)[::-1]) else []

    first = until(in_order)
    assert sorted(first) == pytest.approx(scored, abs=0.01)
    if first != sorted(first):  # MLflow sorts downwards first
        sort_by(browser, "wer_unigram")
        until(lambda: column(browser, "wer_unigram") == sorted(first))
    picture(browser, "mlflow-runs")
    sort_by(browser, "wer_unigram")
    until(lambda: column(browser, "wer_unigram") == sorted(first)[::-1])


def test_the_held_out_loss_of_all_strategies_is_in_one_chart(
    browser: Any, address: str, comparison: Config
) -> None:
    stamp = tracked(comparison)
    query = {
        "runs": json.dumps(list(stamp["runs"].values())),
        "metric": json.dumps("heldout_ce"),
        "experiments": json.dumps([stamp["experiment"]]),
        "plot_metric_keys": json.dumps(["heldout_ce"]),
        "plot_layout": json.dumps({"autosize": True, "xaxis": {}, "yaxis": {}}),
        "x_axis": "relative",
        "y_axis_scale": "linear",
        "line_smoothness": "1",
        "show_point": "true",
        "deselected_curves": "[]",
        "last_linear_y_axis_range": "[]",
    }
    browser.get(f"{address}/#/metric?{urllib.parse.urlencode(query)}")
    script = """return [...document.querySelectorAll('.js-plotly-plot')].map(
        plot => plot.data.map(trace => [trace.name || '', Array.from(trace.y || [])]))"""
    runs = records.read_comparison(comparison).runs
    wanted = {one.run.name: [round(point["ce"], 4) for point in one.heldout] for one in runs}

    def chart() -> dict[str, list[float]]:
        """Curves of the chart that has them all. A curve is drawn twice, as line and as points."""
        for traces in browser.execute_script(script):
            curves = {name.split(" ")[0]: [round(y, 4) for y in ys] for name, ys in traces}
            if set(curves) >= set(wanted):
                return curves
        return {}

    assert until(chart, lambda: browser.find_element("tag name", "body").text) == wanted
    picture(browser, "mlflow-heldout-loss")
