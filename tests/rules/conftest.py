"""The checker of PromQL that comes with Prometheus."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from loomtriage.errors import Refused
from loomtriage.lab.servers import prometheus


@pytest.fixture(scope="package")
def promtool(tmp_path_factory) -> Path:
    """The one on PATH, or that of the lab's Prometheus."""
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    try:
        server = prometheus.find_prometheus(
            "", home=tmp_path_factory.mktemp("home"), say=lambda _line: None
        )
    except Refused as error:
        pytest.skip(f"no Prometheus here: {error}")
    return server.parent / "promtool"
