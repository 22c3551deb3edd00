"""The report in a real browser: accessible, readable on paper, in the dark and on a telephone.

axe-core is Deque's engine of accessibility rules (WCAG)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dasr.reporting.command import report
from tests.support import synthetic
from tests.support.browser import opened, picture, text

pytestmark = pytest.mark.slow
MM = 96 / 25.4  # CSS pixels
PAPERS = {"landscape": 297 - 24, "portrait": 210 - 24}  # widths of A4 between its margins, mm


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = synthetic.make(tmp_path_factory.mktemp("report"), seeds=[0, 1], learners=[2, 4])
    CliRunner().invoke(report, ["--config", str(config)], catch_exceptions=False)
    return (config.parent / "results" / "report.html").as_uri()


@pytest.fixture(scope="module")
def window(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    window = opened(tmp_path_factory.mktemp("browser"))
    window.get(page)
    yield window
    window.quit()


@pytest.fixture
def look(window: Any) -> Iterator[Any]:
    """look(width=, media=, scheme=): the page as such a reader sees it."""

    def look(width: int = 1400, media: str = "screen", scheme: str = "light") -> None:
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    yield look
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def findings(window: Any) -> list[str]:
    """Rules that the page breaks, with the first element that does."""
    package = pytest.importorskip("axe_core_python", reason="axe-core-python IS MISSING")
    window.execute_script((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    result = window.execute_async_script("const done = arguments[0]; axe.run().then(done)")
    assert len(result["passes"]) > 20, "the rules were not applied"
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html']}" for one in result["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_breaks_no_rule_of_accessibility(window: Any, look: Any, scheme: str) -> None:
    look(scheme=scheme)
    assert findings(window) == []
    picture(window, f"report-{scheme}")


def test_the_check_finds_what_is_wrong(window: Any, page: str) -> None:
    window.execute_script("document.querySelector('img').removeAttribute('alt')")
    try:
        assert [one for one in findings(window) if one.startswith("critical image-alt")]
    finally:
        window.get(page)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_column_is_on_the_paper(window: Any, look: Any, paper: str) -> None:
    wide = PAPERS[paper] * MM
    look(width=int(wide), media="print")
    right = window.execute_script("""return [...document.querySelectorAll('thead th')].map(
        cell => [cell.textContent, cell.getBoundingClientRect().right])""")
    assert {"strategy", "staleness", "over seeds"} <= {name for name, _ in right}
    assert [name for name, edge in right if edge > wide + 1] == []
    printed = window.execute_cdp_cmd("Page.printToPDF", {"landscape": paper == "landscape"})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_nothing_but_a_table_is_wider_than_a_telephone(window: Any, look: Any) -> None:
    look(width=360)
    assert window.execute_script("return document.documentElement.scrollWidth") <= 360
    assert "Comparison" in text(window)
    picture(window, "report-360")


def test_in_the_dark_the_page_is_dark(window: Any, look: Any) -> None:
    look(scheme="dark")
    colour = window.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in colour.strip("rgb()").split(",")) < 60
