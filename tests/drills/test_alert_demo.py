"""An alert's whole way: a fault in a lab, an alert, a webhook, the path, a report."""

from __future__ import annotations

import re

import pytest

from loomtriage.cli import main
from loomtriage.errors import Refused
from loomtriage.lab.servers.alertmanager import find_alertmanager
from loomtriage.lab.servers.prometheus import cache_dir
from loomtriage.settings import settings

pytestmark = [pytest.mark.lab, pytest.mark.soak]
WITHIN_S = 90.0


def test_an_alert_becomes_a_report_by_itself(tmp_path, capsys):
    """Nobody types a command between the fault and the report, and both lie within 90 s."""
    try:
        find_alertmanager(cache_dir(settings().home_dir()), say=lambda _line: None)
    except Refused as error:
        pytest.skip(f"no Alertmanager here: {error}")
    with pytest.raises(SystemExit) as ended:
        main(["lab", "alert-demo", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    gone, told = (
        float(re.search(rf"^\s*([\d.]+) s  {what}", said, re.MULTILINE)[1])
        for what in ("Elasticsearch is gone", "BAD: ")
    )
    assert told - gone <= WITHIN_S
    assert list(tmp_path.glob("*/report.html"))
