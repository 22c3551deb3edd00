"""The documentation site builds without a warning and without a network."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages

pytest.importorskip("mkdocs", reason="the site's builder is installed with the extra `docs`")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    run = subprocess.run(command, cwd=pages.REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_the_reference_has_every_command_key_and_strategy(site: Path) -> None:
    from dasr.cli import COMMANDS
    from dasr.strategies import registry

    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert all(f"dasr {name}" in commands for name in COMMANDS)
    config = (site / "reference" / "config.html").read_text(encoding="utf-8")
    assert all(
        key in config for key in ("max_bad_fraction", "shards.train", "acoustic_scales", "learning_rate")
    )
    strategies = (site / "reference" / "strategies.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in strategies for name in registry.names())
    mixing = (site / "reference" / "mixing.html").read_text(encoding="utf-8")
    assert all(
        factor in mixing for factor in ("0.648", "0.289", "0.492")
    )  # of three mixings, see test_topology


def test_the_api_pages_have_the_docstrings(site: Path) -> None:
    assert "all_reduce" in (site / "api" / "world.html").read_text(encoding="utf-8")
    assert "learning_rate" in (site / "api" / "strategy.html").read_text(encoding="utf-8")
    assert "log_posteriors" in (site / "api" / "model.html").read_text(encoding="utf-8")


def test_no_page_fetches_fonts_or_scripts_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "googleapis" not in text and '<script src="http' not in text, page.name
