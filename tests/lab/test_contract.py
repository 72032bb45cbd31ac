"""The running lab obeys the contract, and one label less is noticed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.case import open_case
from loomtriage.lab import up
from loomtriage.model import State
from loomtriage.model.window import iso
from loomtriage.stages.checkup import checkup
from loomtriage.stages.conform import checks, conform, look
from tests.lab.services import until

pytestmark = pytest.mark.lab


@pytest.fixture
def working(own_root, said):
    """Source spec of a lab with load that has finished rows and traced them."""
    up(own_root, ports="auto", say=said.append, load_per_s=5.0)
    source = f"lab:{own_root.name}"
    until(
        lambda: _case(source).pull("spans").data["operation"].nunique() > 3, "traces", timeout_s=40
    )
    until(
        lambda: float(_case(source).pull("processed").data.max().sum()) > 20, "rows", timeout_s=40
    )
    # What a doctor reads of five minutes are scrapes some seconds apart: it needs two of them.
    until(lambda: _finding(source, "work").state is not State.NO_DATA, "two scrapes", timeout_s=60)
    return source


def _finding(source, name):
    return next(f for f in checkup(source).findings if f.check == f"doctor.{name}")


def _case(source):
    now = datetime.now(UTC)
    start = now - timedelta(seconds=10)
    return open_case("conform", source=source, start=iso(start), end=iso(now))


def test_the_lab_obeys_the_contract(working):
    """Every demand that can be judged holds, live, and doctor finds all well."""
    result = conform(_case(working))
    assert [f.says for f in result.verdict.findings if f.state is not State.OK] == []
    told = {f.check: f for f in checkup(working).findings}
    found = [told[f"doctor.{name}"] for name in ("contract", "targets", "work")]
    assert [f.says for f in found if f.state is not State.OK] == []
    # Negative control: the same lab with one label gone.
    seen = look(_case(working))
    bare = seen.metrics.data.copy()
    bare.columns = bare.columns.set_levels([""], level="env", verify_integrity=False).set_codes(
        [0] * bare.shape[1], level="env"
    )
    worse = replace(seen, metrics=replace(seen.metrics, data=bare))
    gaps = [str(g) for a in checks(worse)["metrics_contract"]() for g in a.gaps]
    assert any("label env" in gap for gap in gaps)
