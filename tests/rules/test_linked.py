"""What links ask of Prometheus and of Grafana's Explore is PromQL that Prometheus takes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from loomtriage.case import open_case
from loomtriage.contract.catalogue import METRICS
from loomtriage.evidence import Links
from loomtriage.model import Scope
from loomtriage.stages.links import drawn

ODD = Scope(env="dev", projection='odd "name"\\', op="{upsert}", reason="es_timeout")
SCOPES = (Scope(), ODD, Scope(reason='never "heard"\n'))


@pytest.fixture(scope="module")
def queries() -> list[str]:
    """The query of every link to a metric, for no scope and for odd ones."""
    case = open_case("narrow", source="example:placebo")
    bases = Links(prometheus="http://127.0.0.1:9090", grafana="http://127.0.0.1:3000")
    case = replace(case, evidence=replace(case.evidence, links=bases))
    links = [drawn(case, metric, scope, says="") for metric in METRICS for scope in SCOPES]
    return [one.ref for found in links for one in found if one.kind in ("graph", "explore")]


def refused(promtool, queries: list[str], folder) -> str:
    """What promtool has against queries, empty when it takes them."""
    rules = [{"record": f"q{number}", "expr": one} for number, one in enumerate(queries)]
    path = folder / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "links", "rules": rules}]}), encoding="utf-8")
    command = [str(promtool), "check", "rules", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if told.returncode == 0 else told.stderr


def test_promtool_takes_the_query_of_every_link(promtool, queries, tmp_path):
    """Every metric of the catalogue, whatever stands in the scope."""
    assert len(queries) == 2 * len(METRICS) * len(SCOPES)
    assert refused(promtool, queries, tmp_path) == ""


@pytest.mark.parametrize(("old", "new"), [("{", "("), ('\\"', '"'), ("outbox_", "'")])
def test_a_damaged_query_is_refused(promtool, queries, tmp_path, old, new):
    """The check itself: a bracket, an escape or a name that is spoilt is noticed."""
    sound = next(one for one in queries if old in one)
    assert refused(promtool, [sound.replace(old, new, 1)], tmp_path)
