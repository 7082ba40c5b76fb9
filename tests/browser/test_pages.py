"""MLflow's pages of a study in a headless Chromium: the addresses we print show the trials.

Pictures are kept in build/screenshots, for people to look at.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.controller import run_sweep
from sweep.tracking import COMPARED_RUNS_MAX, start_ui
from tests.toys.store import free_port, wait_until_up
from tests.toys.study import Recorder, toy_job

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PICTURES = Path(__file__).resolve().parents[2] / "build" / "screenshots"
TRIALS = 24
# A page that is all white takes some 10 kB at this size.
PICTURE_BYTES_MIN = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the pages were not looked at"),
]


class Pages:
    """A finished study, its UI, and a browser."""

    def __init__(self, folder: Path) -> None:
        recorder = Recorder()
        job = toy_job(
            folder,
            trials=TRIALS,
            tracking_uri="embedded",
            backend="processes",
            payload={"sleep_s": 0.05, "faults": {"4": "nan"}},
        )
        self.summary: Any = run_sweep(job, recorder)
        self.messages = recorder.messages
        self._profile = folder / "chromium"
        self._port = free_port()
        self._server = start_ui(folder, self._port)
        wait_until_up(f"http://127.0.0.1:{self._port}")

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()

    def open(self, url: str, picture: str) -> str:
        """Return the document of a page as the browser sees it, and take its picture."""
        here = url.replace("127.0.0.1:5000", f"127.0.0.1:{self._port}")
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{picture}.png"
        path.unlink(missing_ok=True)
        self._chromium(f"--screenshot={path}", here)
        assert path.stat().st_size > PICTURE_BYTES_MIN, f"{path} is nearly empty"
        return self._chromium("--dump-dom", here)

    def _chromium(self, *arguments: str) -> str:
        assert CHROMIUM is not None
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--incognito"),
                *(f"--user-data-dir={self._profile}", "--window-size=1600,1000"),
                # The page's own clock: it has this long to fetch and draw, however slow we are.
                "--virtual-time-budget=30000",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
        return done.stdout


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    made = Pages(tmp_path_factory.mktemp("pages"))
    yield made
    made.close()


def names_in(document: str) -> list[str]:
    """Names of trials in the order of their first appearance."""
    return list(dict.fromkeys(re.findall(r"trial-\d{4}", document)))


def test_the_printed_address_shows_all_trials_the_best_one_first(pages: Pages) -> None:
    url: Any = pages.summary.tracking.url
    document = pages.open(url, "runs")
    assert f"<strong>{TRIALS}</strong> matching runs" in document
    names = names_in(document)
    assert len(names) >= 15, "the table shows too few of its rows"
    assert names[0] == f"trial-{pages.summary.best['trial']:04d}"


def test_the_compare_address_draws_the_best_trials(pages: Pages) -> None:
    (message,) = [text for text in pages.messages if "#/compare-runs?" in text]
    document = pages.open(message.split(": ", 1)[1], "compare")
    assert f"Comparing {COMPARED_RUNS_MAX} Runs from 1 Experiment" in document
    assert names_in(document)[0] == f"trial-{pages.summary.best['trial']:04d}"


def test_the_parent_run_explains_itself(pages: Pages) -> None:
    tracking = pages.summary.tracking
    url = f"http://127.0.0.1:5000/#/experiments/{tracking.experiment_id}/runs/{tracking.parent_run_id}"
    document = pages.open(url, "parent")
    assert "Child runs" in document
    assert "maximize" in document
