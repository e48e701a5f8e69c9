"""Dossiers in a real browser: nothing is fetched, nothing goes wrong in scripts, and paper is filled.

Needs Chromium, and poppler's ``pdftoppm`` for pages on paper; ``.ci/run`` installs both where it may.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matloop.screening.dossier.written_dossiers import WrittenDossiers
from matloop.workflows.dossiers.run_dossiers import dossiers_of_run
from matloop.workflows.screen import ScreeningRun

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAPER = shutil.which("pdftoppm")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]
BOTH = pytest.mark.parametrize("language", ["en", "zh"])
MOST_EMPTY = 1 / 3
"""Share of a page that may be empty at its foot; the last page may end anywhere."""
A_LINE = 4
"""Rows of pixels of a rendered page that are at least not a stray dot."""


@pytest.fixture(scope="module")
def written(finished: ScreeningRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, WrittenDossiers]:
    top = tmp_path_factory.mktemp("browser")
    return {
        language: dossiers_of_run(finished.view, out=top / language, language=language) for language in ("en", "zh")
    }


def browse(page: Path, folder: Path, *options: str) -> tuple[list[str], list[str]]:
    """Open a page; what its console said, and the addresses that were asked for."""
    log = folder / "network.json"
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
        "--enable-logging=stderr", f"--log-net-log={log}", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    said = re.findall(r'CONSOLE[^"]*"(.*?)", source', done.stderr)
    # What the browser asks for on its own account has no origin.
    asked = re.findall(r'"initiator":"([^"]*)".{0,600}?"url":"([^"]+)"', log.read_text("utf-8", errors="replace"))
    return said, [address for origin, address in asked if origin != "not an origin"]


def rendered(pdf: Path, folder: Path) -> list[NDArray[np.uint8]]:
    """Pages in grey, without their margins."""
    subprocess.run([str(PAPER), "-r", "40", "-gray", str(pdf), str(folder / "page")], check=True, timeout=120)
    found = []
    for path in sorted(folder.glob("page-*.pgm")):
        header, _, pixels = path.read_bytes().partition(b"\n255\n")
        width, height = map(int, header.split()[-2:])
        grey = np.frombuffer(pixels, np.uint8).reshape(height, width)
        found.append(grey[height // 18 : -height // 18])  # the lines at the top and the foot of each page
    return found


@BOTH
def test_no_console_message_and_no_request(written: dict[str, WrittenDossiers], language: str, tmp_path: Path) -> None:
    page = written[language].folders[0] / "dossier.html"
    said, asked = browse(page, tmp_path, f"--screenshot={tmp_path}/page.png", "--window-size=1280,2000")
    assert not [text for text in said if "WebGL" not in text]  # without a graphics card it tells how it draws
    assert asked == []
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_a_request_would_be_seen(written: dict[str, WrittenDossiers], tmp_path: Path) -> None:
    page = tmp_path / "dossier.html"
    html = (written["en"].folders[0] / "dossier.html").read_text("utf-8")
    page.write_text(re.sub(r"<meta http-equiv[^>]*>", '<img src="http://127.0.0.1:9/x.png">', html), "utf-8")
    _, asked = browse(page, tmp_path, f"--screenshot={tmp_path}/page.png")
    assert "http://127.0.0.1:9/x.png" in json.dumps(asked)


@pytest.mark.skipif(PAPER is None, reason="no pdftoppm is installed")
@BOTH
def test_pages_on_paper_are_filled_and_no_heading_is_stranded(
    written: dict[str, WrittenDossiers], language: str, tmp_path: Path
) -> None:
    for number, folder in enumerate(written[language].folders):
        own = tmp_path / str(number)
        own.mkdir()
        browse(folder / "dossier.html", own, f"--print-to-pdf={own}/a4.pdf", "--no-pdf-header-footer")
        sheets = rendered(own / "a4.pdf", own)
        assert len(sheets) >= 3
        for sheet in sheets[:-1]:
            inked = np.flatnonzero((sheet < 128).any(axis=1))
            assert 1 - inked[-1] / len(sheet) < MOST_EMPTY
