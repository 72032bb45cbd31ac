"""What a drill leaves on disk when there was no triage."""

from __future__ import annotations

import json

from loomtriage.drills.result import DrillResult, Phase, write_result
from loomtriage.drills.session import _seal_alone
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
