"""MLflow's own pages, in a real browser, at the addresses that `dasr track` prints: every strategy's word
error rate in the table, and a chart of held-out loss.

    DASR_CONFIG=config.yaml DASR_SCREENSHOTS=docs/screenshots pytest tests/tracking/test_ui.py

looks at a finished comparison instead of a made-up one, and keeps the pictures.
"""

import os
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.config import Config
from dasr.results import records
from dasr.tracking import view
from dasr.tracking.command import track
from dasr.tracking.metrics import HELDOUT_CE, WER
from tests.support import synthetic
from tests.support.browser import opened, picture, text, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, list[str]]]:
    """The config of a comparison that has been tracked, and what the command printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        path = os.environ.get("DASR_CONFIG")
        if path is None:
            path = str(synthetic.make(tmp_path_factory.mktemp("ui"), seeds=[0]))
        output = CliRunner().invoke(track, ["--config", path], catch_exceptions=False).output
        yield dasr_config.load(path), output.splitlines()


@pytest.fixture(scope="module")
def comparison(printed: tuple[Config, list[str]]) -> Config:
    return printed[0]


@pytest.fixture(scope="module")
def server(printed: tuple[Config, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The command that was printed, at a port of its own."""
    (command,) = (line for line in printed[1] if line.startswith("mlflow server"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command), "--workers", "1", "--port", str(port)],
            stdout=stream, stderr=stream, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        place = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{place}/health"), lambda: log.read_text()[-2000:])
        yield place
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    window = opened(tmp_path_factory.mktemp("browser"))
    yield window
    window.quit()


def open_printed(browser: Any, server: str, lines: list[str], name: str) -> None:
    """Open the address that was printed as `name: http://...`."""
    (address,) = (line.split(": ", 1)[1] for line in lines if line.startswith(f"{name}: "))
    browser.get("about:blank")  # what follows differs from the last page behind # only
    browser.get(address.replace(view.LOCAL, server))
    until(lambda: "matching runs" in text(browser), lambda: text(browser))
    for close in browser.find_elements("css selector", "button[aria-label='Close']"):
        close.click()  # the assistant's panel


def column(browser: Any, name: str) -> list[float]:
    """Numbers in a metric's column, from the top; nothing while the page is being drawn again."""
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        cells = browser.find_elements("css selector", f"[role='gridcell'][col-id*='{name}`']")
        rows = [
            (float(cell.find_element("xpath", "..").get_attribute("row-index")), cell.text) for cell in cells
        ]
    except StaleElementReferenceException:
        return []
    return [float(value) for _, value in sorted(rows) if value not in ("", "-")]


def test_the_printed_address_shows_the_word_error_rate_of_every_strategy_lowest_first(
    browser: Any, server: str, printed: tuple[Config, list[str]]
) -> None:
    config, lines = printed
    open_printed(browser, server, lines, "runs")
    runs = records.read_comparison(config).runs
    scored = sorted(one.scores["unigram"]["wer"] for one in runs)
    until(lambda: len(column(browser, WER)) == len(scored), lambda: text(browser))
    assert column(browser, WER) == pytest.approx(scored, abs=0.006)
    seen = text(browser)
    assert WER in seen and all(one.run.name in seen for one in runs)
    assert "the strategy is the only difference" in seen, "the note"
    picture(browser, "mlflow-runs")


def test_the_printed_address_of_the_charts_shows_word_errors_then_held_out_loss_of_all_strategies(
    browser: Any, server: str, printed: tuple[Config, list[str]]
) -> None:
    config, lines = printed
    open_printed(browser, server, lines, "charts")
    until(lambda: f"{HELDOUT_CE}" in text(browser) and "train\n" in text(browser), lambda: text(browser))
    seen = text(browser)
    places = [seen.find(f"\n{name}\n") for name in ("wer/test", "heldout", "train", "time")]
    assert places == sorted(places) and -1 not in places
    script = """return [...document.querySelectorAll('.js-plotly-plot')].map(
        plot => plot.data.map(trace => [trace.name || '', Array.from(trace.y || [])]))"""
    runs = records.read_comparison(config).runs
    wanted = {one.run.name: [float(f"{point['ce']:.5g}") for point in one.heldout] for one in runs}

    def charts() -> list[dict[str, list[float]]]:
        """The charts that have every strategy's curve. A curve is drawn twice, as line and as points."""
        drawn = [{name: ys for name, ys in plot if name in wanted} for plot in browser.execute_script(script)]
        return [curves for curves in drawn if set(curves) == set(wanted)]

    assert until(charts, lambda: text(browser))[0] == wanted
    heading = browser.find_element("xpath", "(//*[normalize-space(text())='heldout'])[last()]")
    browser.execute_script("arguments[0].scrollIntoView()", heading)
    picture(browser, "mlflow-heldout-loss")
