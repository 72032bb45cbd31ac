"""What the tests of hostile pages share: drawing is left to the tests of charts."""

from __future__ import annotations

import pytest

from loomtriage.report import canvas
from tests.report.make import dot, plain_charts


@pytest.fixture
def one_picture(monkeypatch):
    """Whatever a hostile page draws is a dot; its words stay its own."""
    plain_charts()
    monkeypatch.setattr(canvas, "_png", lambda _draw: dot())
