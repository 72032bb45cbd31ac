"""Which Prometheus server the lab runs, how it is configured and when it has samples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

from loomtriage.contract.alerts import rules_data
from loomtriage.contract.rules import LAB
from loomtriage.errors import Refused
from loomtriage.lab.patience import Say
from loomtriage.lab.servers import alertmanager
from loomtriage.lab.servers.fetch import from_debian, from_release
from loomtriage.lab.state import ENV, write_private

Fetch = Callable[[Path, Say], bool]

OLDEST = (2, 42)
SCRAPE_S = 0.5
"""Seconds between two scrapes of a target: no metric is dated better than that."""
EVALUATE_S = 1.0
"""Seconds between two evaluations of a rule."""
JOBS: Mapping[str, tuple[str, str]] = {
    "wordloom-api": ("api", "api"),
    "wordloom-worker": ("worker", "worker"),
    "wordloom-chronicle": ("worker", "chronicle"),
}
"""Prometheus job -> (component label, name of the port that is scraped)."""
SPARE_JOB = "wordloom-worker"
TARGETS = "targets"
"""Folder in the lab's folder with one file for each spare worker that was started."""
RULES = "rules.yml"

_SPARES = f"""    file_sd_configs:
      - files: ["{TARGETS}/*.json"]
        refresh_interval: 1s
"""

_FIXES = (
    "Either install it (Debian, Ubuntu: apt-get install prometheus; macOS: brew install "
    "prometheus), or set LOOMTRIAGE_PROMETHEUS to the path of a binary, or use "
    "docker compose -f docker-compose.infra.yml up."
)


def find_prometheus(
    setting: str, *, home: Path, say: Say, fetches: Sequence[Fetch] = (from_debian, from_release)
) -> Path:
    """A Prometheus binary: setting, PATH, cache, Debian package, pinned release; in this order.

    Args:
        setting: path of a binary, empty when none is set.
        home: where the cache goes when the user's own cache folder cannot be written.
        say: hears about each slow step.
        fetches: ways to fill the cache, tried in turn.

    Raises:
        Refused: the setting points to nothing usable, or none could be had; carries the fixes.
    """
    if setting:
        path = Path(setting).expanduser()
        if version(path) < OLDEST:
            raise Refused(
                f"LOOMTRIAGE_PROMETHEUS={setting} is not a Prometheus of version 2.42 or newer.",
                hint="Point it to the prometheus binary, or unset it.",
            )
        return path
    on_path = shutil.which("prometheus")
    if on_path and version(Path(on_path)) >= OLDEST:
        return Path(on_path)
    cache = cache_dir(home)
    cached = cache / "prometheus" / "bin" / "prometheus"
    if version(cached) >= OLDEST:
        return cached
    for fetch in fetches:
        if fetch(cache, say) and version(cached) >= OLDEST:
            return cached
    raise Refused("No Prometheus server was found, and none could be fetched.", hint=_FIXES)


def cache_dir(home: Path) -> Path:
    """Folder for what is fetched once per user: the user's cache, else the lab's home."""
    for base in (os.environ.get("XDG_CACHE_HOME", ""), "~/.cache"):
        if not base:
            continue
        folder = Path(base).expanduser() / "loomtriage"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):
            continue
        if os.access(folder, os.W_OK):
            return folder
    folder = home / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def version(binary: Path) -> tuple[int, int]:
    """(major, minor) of a Prometheus binary; (0, 0) when it is none or does not start."""
    try:
        told = subprocess.run(
            (str(binary), "--version"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"^prometheus, version (\d+)\.(\d+)", told.stdout, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found and told.returncode == 0 else (0, 0)


def configuration(ports: Mapping[str, int]) -> str:
    """The text of `prometheus.yml`: static targets, two samples a second, the contract's rules.

    A spare worker joins by a file: as a static target it would look like an outage until then.
    """
    jobs = "".join(
        f"  - job_name: {job}\n"
        "    static_configs:\n"
        f'      - targets: ["127.0.0.1:{ports[port]}"]\n'
        f"        labels: {{env: {ENV}, component: {component}}}\n"
        + (_SPARES if job == SPARE_JOB else "")
        for job, (component, port) in JOBS.items()
    )
    return (
        "global:\n"
        f"  scrape_interval: {SCRAPE_S * 1000:.0f}ms\n"
        f"  scrape_timeout: {SCRAPE_S * 1000:.0f}ms\n"
        f"  evaluation_interval: {EVALUATE_S * 1000:.0f}ms\n"
        f"rule_files: [{RULES}]\n" + _alerting(ports) + "scrape_configs:\n" + jobs
    )


def _alerting(ports: Mapping[str, int]) -> str:
    if alertmanager.PORT not in ports:
        return ""
    target = f"127.0.0.1:{ports[alertmanager.PORT]}"
    return f'alerting:\n  alertmanagers: [{{static_configs: [{{targets: ["{target}"]}}]}}]\n'


def rules() -> str:
    """The text of the rules file: what production is given, with a minute become a second."""
    return json.dumps(rules_data(LAB), indent=1)


def spare_target(port: int) -> str:
    """The file by which a spare worker joins the targets of its job."""
    labels = {"env": ENV, "component": JOBS[SPARE_JOB][0]}
    return json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": labels}])


def show_target(root: Path, name: str, *, text: str) -> None:
    """Let Prometheus scrape a spare worker; it takes up to 5 s to begin."""
    write_private(root / TARGETS / f"{name}.json", text)


def hide_target(root: Path, name: str) -> None:
    """Let Prometheus scrape a spare worker no more; fine when it does not."""
    (root / TARGETS / f"{name}.json").unlink(missing_ok=True)


def command(binary: Path, *, config: Path, data: Path, port: int) -> tuple[str, ...]:
    """How the server is started; no lock flags, since their meaning differs between builds."""
    assets = binary.parent.parent / "web"
    return (
        str(binary),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=6h",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
        # Debian keeps the web page outside the binary; only its builds know this flag.
        *((f"--web.local-assets={assets}",) if assets.is_dir() else ()),
    )


def has_samples(port: int) -> bool:
    """Is the server ready, and was every job scraped with success at least once?

    The first scrape comes 5-6 s after start, whatever the interval: discovery waits that long.
    """
    if _get(port, "/-/ready") is None:
        return False
    body = _get(port, "/api/v1/query?query=" + quote("up == 1"))
    try:
        found = json.loads(body or "null")["data"]["result"]
        return set(JOBS) <= {sample["metric"].get("job") for sample in found}
    except (KeyError, TypeError, ValueError):
        return False


def _get(port: int, path: str) -> bytes | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status == 200 else None
