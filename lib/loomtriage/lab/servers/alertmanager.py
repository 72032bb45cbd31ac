"""Which Alertmanager the lab runs when its alerts shall reach somebody, and whom it tells."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from loomtriage.errors import Refused
from loomtriage.lab.patience import Say
from loomtriage.lab.servers.fetch import from_debian_package

PORT = "alertmanager"
"""Name of its port; a lab that tells nobody has none."""
CONFIG = "alertmanager.yml"
PROGRAM = "prometheus-alertmanager"
_NAMES = (PROGRAM, "alertmanager")
_TEMPLATES = "/usr/share/prometheus/alertmanager"


def find_alertmanager(cache: Path, *, say: Say) -> Path:
    """An Alertmanager binary: PATH, cache, Debian package; in this order.

    Raises:
        Refused: none could be had.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    cached = cache / PROGRAM / "bin" / PROGRAM
    if cached.is_file() or from_debian_package(cache, say, name=PROGRAM):
        _relocate(cached)
        return cached
    raise Refused(
        "No Alertmanager was found, and none could be fetched.",
        hint="Install it (apt-get install prometheus-alertmanager), or leave out --webhook.",
    )


def templates_of(binary: Path) -> Path | None:
    """The folder that a relocated program must run in, None for one that was installed."""
    folder = binary.parent.parent / _TEMPLATES.lstrip("/").removeprefix("usr/")
    return folder if folder.is_dir() and folder != Path(_TEMPLATES) else None


def _relocate(binary: Path) -> None:
    """Let an unpacked program read its templates from the folder in which it runs.

    Debian's build has their absolute path in it, and does not start where it is not installed.
    A path of the same length that leads nowhere else takes its place in our private copy.
    """
    content = binary.read_bytes()
    # The same path with more behind it belongs to the web page, which is not used.
    here = b"./" * (len(_TEMPLATES) // 2)
    moved = re.sub(_TEMPLATES.encode() + rb"(?!/)", here, content)
    if moved != content:
        draft = binary.with_name(f".{PROGRAM}.{os.getpid()}")
        draft.write_bytes(moved)
        draft.chmod(0o755)
        draft.replace(binary)


def configuration(url: str, *, token_file: str) -> str:
    """The text of `alertmanager.yml`: everything to one webhook, as soon as it is known.

    Args:
        url: of the receiver.
        token_file: file with the bearer token, empty for none.
    """
    http = {"authorization": {"credentials_file": token_file}} if token_file else {}
    webhook = {"url": url, "send_resolved": True, "max_alerts": 100, "http_config": http}
    route = {
        "receiver": "triage",
        "group_by": ["env", "projection"],
        "group_wait": "2s",
        # Alerts that join later must not start a second run while the first is at work.
        "group_interval": "30s",
        "repeat_interval": "1h",
    }
    receivers = [{"name": "triage", "webhook_configs": [webhook]}]
    return json.dumps({"route": route, "receivers": receivers}, indent=1)


def command(binary: Path, *, config: Path, data: Path, port: int) -> tuple[str, ...]:
    """How it is started; alone, without a cluster port."""
    return (
        str(binary),
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
