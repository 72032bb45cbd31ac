"""Monitoring: what do Prometheus and Alertmanager read, written from the contract?"""

from __future__ import annotations

import yaml

from loomtriage.contract.alerts import rules_data
from loomtriage.contract.rules import LAB
from loomtriage.contract.targets import DRILL_JOB, SCRAPED, ScrapeJob

HOST = "host.docker.internal"
"""The host that runs the application, as containers call it."""
_WRITTEN = "# Written by `loomtriage publish` from the contract; edits here are lost.\n"


def rules_file() -> str:
    """`docker/prometheus/rules.yml`."""
    return _WRITTEN + as_yaml(rules_data())


def lab_rules_file() -> str:
    """What the lab evaluates: the same rules, with a minute become a second."""
    note = f"# As in the lab: every duration divided by {LAB:g}, and none below two seconds.\n"
    return _WRITTEN + note + as_yaml(rules_data(LAB))


def prometheus_file() -> str:
    """`docker/prometheus/prometheus.yml`."""
    own = [{"targets": ["localhost:9090"], "labels": {"component": "monitoring"}}]
    return (
        _WRITTEN
        + "# After a change: curl -X POST http://localhost:9090/-/reload\n"
        + as_yaml(
            {
                "global": {"scrape_interval": "5s", "evaluation_interval": "15s"},
                "rule_files": ["rules.yml"],
                "alerting": {
                    "alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
                },
                "scrape_configs": [
                    {"job_name": "prometheus", "static_configs": own},
                    *(_job(one) for one in SCRAPED),
                ],
            }
        )
    )


def as_yaml(data: object) -> str:
    """YAML in the order of the data, one expression a line."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000)


def _job(one: ScrapeJob) -> dict[str, object]:
    labels = {"env": one.env, "component": one.component}
    targets = [f"{HOST}:{port}" for port in one.ports]
    job: dict[str, object] = {
        "job_name": one.job,
        "static_configs": [{"targets": targets, "labels": labels}],
    }
    if one.job == DRILL_JOB:
        # Drills on other ports: one JSON file each, as Prometheus' file_sd_configs reads them.
        job["file_sd_configs"] = [{"files": ["targets/*.json"]}]
    return job
