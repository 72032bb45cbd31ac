"""The form in JupyterLab, as a trainee meets it: from opening the notebook to the score."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from loomtriage.settings import shipped
from loomtriage.train import board
from loomtriage.train.board import Kind
from tests.report.test_browser import chromium  # noqa: F401  (a fixture is found by name)
from tests.train.rounds import RIGHT, pool_of

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(300)]

WITHIN_S = 60


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder with the notebook, its round on a recorded run; its address."""
    pool = pool_of(tmp_path / "past", "es_down")
    text = (shipped("notebooks") / "80-train.ipynb").read_text("utf-8")
    for name, value in (("source", pool), ("board", tmp_path / "board"), ("who", "ada")):
        text = text.replace(f'{name}: str = \\"\\"', f'{name}: str = \\"{value}\\"')
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "80-train.ipynb").write_text(text, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = ["--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    words += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={tmp_path / 'work'}"]
    home = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words],
            env={**os.environ, **home, "LOOMTRIAGE_RUNS": str(tmp_path / "runs")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        for _ in range(WITHIN_S * 5):
            try:
                urllib.request.urlopen(f"{base}/api/status?token={token}", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield f"{base}/lab/tree/80-train.ipynb?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(tmp_path / "work", ignore_errors=True)


def test_from_opening_the_notebook_to_the_score(lab, chromium, tmp_path):  # noqa: F811
    """Run the cells, fill in the form, hand it in: the score stands below, and on the board."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    page.goto(lab)
    page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first.click(timeout=WITHIN_S * 1000)
    active = page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active")
    for _ in range(12):
        if "answers = Answers(" in active.inner_text():
            break
        page.keyboard.press("Shift+Enter")
    active.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(f"answers = Answers(**{RIGHT})")
    for _ in range(6):
        page.keyboard.press("Shift+Enter")
    done = page.get_by_text(re.compile(r"of 100\. It was es_down"))
    done.first.wait_for(timeout=WITHIN_S * 1000)
    for words in ("The clock runs", "es_unreachable rose", "TTX", "debrief.html"):
        assert page.get_by_text(words).count(), words
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    kinds = [(one.kind, one.content.get("looks")) for one in board.read(tmp_path / "board")]
    assert kinds == [(Kind.OPENED, None), (Kind.SCORED, ["narrow", "locate", "lines"])]
