"""A lab that tells its alerts to somebody: what its plan carries, and what it starts."""

from __future__ import annotations

from pathlib import Path

from loomtriage.lab.servers import alertmanager
from loomtriage.lab.servers.postgres import Server
from loomtriage.lab.supervisor.children import children
from loomtriage.lab.supervisor.plan import Plan, Webhook, take_plan, write_plan
from loomtriage.lab.supervisor.ports import FIXED


def plan(root: Path, **told: object) -> Plan:
    """A plan that is never carried out."""
    return Plan(
        root=root, lab_id="0" * 16, token="t", ports=FIXED,
        server=Server(bin=root, account=None), prometheus=root / "prometheus", load_per_s=0.0,
        worker_env={}, worker_cmd=(), folder=root, owner=None, **told,
    )  # fmt: skip


def test_a_plan_carries_who_hears_of_alerts(tmp_path):
    """What `up` decided reaches the supervisor unchanged."""
    told = {
        "webhook": Webhook(url="http://127.0.0.1:1/x", token_file="t"),
        "alertmanager": tmp_path,
    }
    write_plan(plan(tmp_path, **told))
    taken = take_plan(tmp_path)
    assert (taken.webhook, taken.alertmanager) == (told["webhook"], tmp_path)


def test_nobody_is_told_unless_somebody_asked(tmp_path):
    """A lab starts an Alertmanager only for a webhook, so that `lab up` is as quick as ever."""
    write_plan(plan(tmp_path))
    assert take_plan(tmp_path).webhook is None
    silent = [child.name for child in children(plan(tmp_path))]
    telling = [child.name for child in children(plan(tmp_path, alertmanager=tmp_path / "am"))]
    assert [name for name in telling if name not in silent] == [alertmanager.PORT]
