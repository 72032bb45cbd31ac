"""What drills leave when there was no triage, and when one of several fails."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from loomtriage.drills import session
from loomtriage.drills.guards import NothingToActOn
from loomtriage.drills.result import DrillResult, Phase, write_result
from loomtriage.drills.session import Order, _seal_alone, run_drills
from loomtriage.errors import ContractBroken, Refused
from loomtriage.model import State
from loomtriage.runner.folder import staging
from loomtriage.sources.manifest import read_manifest


def test_drill_that_ended_before_its_triage_leaves_a_sealed_record(tmp_path):
    """An interrupted drill and a control run leave what they found, whole and verifiable."""
    result = DrillResult(
        id="es_down",
        title="x",
        state=State.NO_DATA,
        says="Interrupted by SIGTERM; the lab was restored.",
        phases=(Phase(name="lock", at="2026-03-01T12:00:00.000Z", seconds=0.1),),
    )
    with staging("drill-es_down", tmp_path) as folder:
        write_result(folder.path, result)
        final = _seal_alone(folder, result)
    manifest = read_manifest(final)
    assert manifest.verify(final) == 1
    assert manifest.state == "interrupted"
    assert json.loads((final / "drill.json").read_text())["state"] == "NO_DATA"
    assert [path.name for path in tmp_path.iterdir()] == [final.name]


class _Labs:
    """Labs that are only counted."""

    def __init__(self, monkeypatch, *, owned, refusals):
        self.started, self.performed = 0, []

        @contextmanager
        def lab_of(order, say):
            self.started += 1
            yield SimpleNamespace(root=Path("x"), lab_id="x"), owned

        def perform(drill, lab, **kept):
            self.performed.append(drill.id)
            if drill.id in refusals:
                raise refusals[drill.id]
            result = DrillResult(
                id=drill.id, title="x", state=State.OK, says="x", restored=True,
                phases=(Phase(name="lock", at="2026-03-01T12:00:00.000Z", seconds=0.1),),
            )  # fmt: skip
            write_result(kept["folder"], result)
            return result

        monkeypatch.setattr(session, "lab_of", lab_of)
        monkeypatch.setattr(session, "perform", perform)
        monkeypatch.setattr(session, "warm_kernel", lambda: nullcontext(None))


NAMES = ("placebo", "es_down", "es_429")
LACKS = NothingToActOn("Nothing to act on.", hint="")


@pytest.mark.parametrize(
    ("owned", "error", "labs"),
    [
        (True, Refused("Rows came.", hint=""), 2),
        (True, ContractBroken("Broken.", hint=""), 2),
        (True, LACKS, 1),
        (False, LACKS, 1),
        (False, ContractBroken("Broken.", hint=""), 1),
    ],
)
def test_one_refused_or_broken_drill_does_not_end_the_others(
    tmp_path, monkeypatch, owned, error, labs
):
    """It becomes what that drill came to; a lab of our own is made anew for the rest."""
    known = _Labs(monkeypatch, owned=owned, refusals={"es_down": error})
    done = list(run_drills(NAMES, Order(out=tmp_path), say=lambda _line: None))
    assert [one.error for one in done] == [None, error, None]
    assert [one.as_json()["state"] for one in done] == ["OK", error.exit_code.name, "OK"]
    assert (tuple(known.performed), known.started) == (NAMES, labs)


def test_a_given_lab_that_serves_no_drill_ends_them(tmp_path, monkeypatch):
    """The next drill would meet the same lab and the same refusal."""
    known = _Labs(monkeypatch, owned=False, refusals={"es_down": Refused("Rows came.", hint="")})
    with pytest.raises(Refused):
        list(run_drills(NAMES, Order(out=tmp_path, lab_name="x"), say=lambda _line: None))
    assert known.performed == ["placebo", "es_down"]
