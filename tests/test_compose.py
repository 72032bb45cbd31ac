"""The monitoring stack: the mission's commands, checked by the real compose program."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from loomtriage.contract.panels import FOLDER, JAEGER, PROMETHEUS
from loomtriage.contract.targets import BY_PORT, DRILL_JOB
from loomtriage.lab.supervisor.ports import FIXED
from loomtriage.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.infra.yml"
TEXT = FILE.read_text(encoding="utf-8")
SERVICES = yaml.safe_load(TEXT)["services"]
GRAFANA = ROOT / "docker/grafana/provisioning"
PACKAGE = find_spec("compose")
# The package's own command forgets the exit code of the program that it carries.
COMPOSE = Path((PACKAGE and PACKAGE.origin) or "none").parent / "docker-compose"
PROFILES = ([], ["monitoring"], ["tracing"], ["monitoring", "tracing"])

needs_compose = pytest.mark.skipif(
    not COMPOSE.exists(), reason=f"no compose program for {sys.platform} {platform.machine()}"
)


def compose(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real program on a file; it needs no engine to read one."""
    command = (COMPOSE, "-f", file, *words)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@needs_compose
@pytest.mark.parametrize("profiles", PROFILES, ids=lambda names: "+".join(names) or "none")
def test_compose_accepts_every_profile(profiles):
    """The file is right under every profile that it has."""
    chosen = [word for name in profiles for word in ("--profile", name)]
    told = compose(FILE, *chosen, "config", "-q")
    assert (told.returncode, told.stderr) == (0, "")


@needs_compose
def test_the_command_of_the_mission_starts_what_it_names():
    """`--profile monitoring up -d prometheus grafana` finds both, and draws in nothing else."""
    told = compose(FILE, "--profile", "monitoring", "config", "--services")
    assert {"grafana", "prometheus"} <= set(told.stdout.split())
    assert not any("depends_on" in SERVICES[name] for name in ("grafana", "prometheus"))


SEEDED = {
    "a key that does not exist": ("    mem_limit: 512m", "    memory_limit: 512m"),
    "a volume that nobody declared": ("postgres-data:/var", "postgres-dat:/var"),
    "a port that cannot be": ("127.0.0.1:9090:9090", "127.0.0.1:99999:9090"),
    "a network that nobody declared": ("    mem_limit: 128m", "    networks: [nowhere]"),
    "a merge with nothing": ("<<: [*service, *on-host]", "<<: [*service, *nobody]"),
}


@needs_compose
@pytest.mark.parametrize("seed", SEEDED)
def test_compose_refuses_a_seeded_error(tmp_path, seed):
    """The program that accepts the file is able to say no."""
    old, new = SEEDED[seed]
    assert old in TEXT
    broken = tmp_path / FILE.name
    broken.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    assert compose(broken, "--profile", "monitoring", "config", "-q").returncode != 0


def test_the_schema_accepts_it_everywhere():
    """Where there is no compose program, its schema judges the file."""
    command = (
        Path(sys.prefix) / "bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE,
    )  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_watched_and_bounded(name):
    """Each service has a fixed version, a health check and a memory limit, and stays here."""
    service = SERVICES[name]
    assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), service["image"]
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_monitoring_is_a_profile():
    """Without a profile only what the application itself needs is started."""
    plain = sorted(name for name, service in SERVICES.items() if not service.get("profiles"))
    assert plain == ["elasticsearch", "postgres"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_containers_reach_the_host_on_linux(name):
    """What must reach the application on the host knows its name."""
    assert SERVICES[name]["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_ports_are_those_that_everything_else_expects():
    """The stack listens where settings and documentation look for it."""
    published = {
        name: [int(port.split(":")[1]) for port in service["ports"]]
        for name, service in SERVICES.items()
    }
    settings = Settings(_env_file=None)
    assert published["prometheus"] == [int(settings.prometheus_url.rpartition(":")[2])]
    assert published["jaeger"][0] == int(settings.jaeger_url.rpartition(":")[2])
    assert published["grafana"] == [3000]
    assert published["postgres"] == [FIXED["postgres"]]
    assert published["elasticsearch"] == [FIXED["elastic"]]


def _scraped() -> list[tuple[str, dict[str, str], str]]:
    config = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text("utf-8"))
    return [
        (job["job_name"], static["labels"], target)
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
        if job["job_name"].startswith("wordloom-")
    ]


def test_every_port_is_scraped_in_one_environment():
    """No process stands under two environments, and every documented port is scraped."""
    ports = [int(target.rpartition(":")[2]) for _, _, target in _scraped()]
    assert len(set(ports)) == len(ports)
    assert set(BY_PORT) <= set(ports)
    assert all({"env", "component"} == set(labels) for _, labels, _ in _scraped())


def test_drills_have_a_job_of_their_own():
    """A drill's worker is scraped, and nobody takes it for one of development or test."""
    assert {labels["env"] for job, labels, _ in _scraped() if job == DRILL_JOB} == {"drill"}
    assert 9129 in {int(t.rpartition(":")[2]) for job, _, t in _scraped() if job == DRILL_JOB}


def test_prometheus_may_be_reloaded():
    """`curl -X POST http://localhost:9090/-/reload` is allowed, and rereads the whole folder."""
    service = SERVICES["prometheus"]
    assert "--web.enable-lifecycle" in service["command"]
    assert "./docker/prometheus:/etc/prometheus:ro" in service["volumes"]


def test_grafana_provisions_itself():
    """Folder, dashboard and data sources are there after the first start, under known uids."""
    provider = yaml.safe_load((GRAFANA / "dashboards/wordloom.yml").read_text("utf-8"))
    assert provider["providers"][0]["folder"] == FOLDER
    assert (
        f"./docker/grafana/dashboards:{provider['providers'][0]['options']['path']}:ro"
        in (SERVICES["grafana"]["volumes"])
    )
    sources = yaml.safe_load((GRAFANA / "datasources/wordloom.yml").read_text("utf-8"))
    by_uid = {one["uid"]: one for one in sources["datasources"]}
    assert set(by_uid) == {PROMETHEUS, JAEGER, "ALERTMANAGER"}
    jump = by_uid[PROMETHEUS]["jsonData"]["exemplarTraceIdDestinations"][0]
    assert jump["datasourceUid"] == JAEGER
    assert by_uid[JAEGER]["jsonData"]["tracesToMetrics"]["datasourceUid"] == PROMETHEUS


def test_the_first_password_is_said():
    """Who reads the file learns that Grafana starts with admin/admin."""
    env = SERVICES["grafana"]["environment"]
    assert (env["GF_SECURITY_ADMIN_USER"], env["GF_SECURITY_ADMIN_PASSWORD"]) == (
        "admin",
        "${GRAFANA_PASSWORD:-admin}",
    )
    assert "admin with the password admin" in TEXT
