"""A real browser (Chromium, headless) for tests of pages."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1900,1000",
]  # fmt: skip
PATIENCE_S = 120
T = TypeVar("T")


def opened(profile: Path) -> Any:
    """A window of Chromium (to be quit); the test is skipped, with the reason, where there is no browser."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium IS MISSING: pip install selenium")
    if chromium is None or driver is None:
        pytest.skip("Chromium IS MISSING, so no page was seen: apt install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    return selenium.Chrome(options=options, service=selenium.ChromeService(driver))


def until(condition: Callable[[], T], what: Callable[[], str] = lambda: "the page") -> T:
    """The first true value of `condition`, or a failure that says what was there instead."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, what()
        time.sleep(0.5)
    return found


def text(window: Any) -> str:
    """What a reader sees of the page."""
    return str(window.find_element("tag name", "body").text)


def picture(window: Any, name: str) -> None:
    """Keep what the window shows, if somebody wants pictures: DASR_SCREENSHOTS=folder."""
    folder = os.environ.get("DASR_SCREENSHOTS")
    if folder:
        time.sleep(2)  # animations
        Path(folder).mkdir(parents=True, exist_ok=True)
        window.save_screenshot(str(Path(folder) / f"{name}.png"))
