"""What is on disk at a lab's folder, and what a new start does with it."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from loomtriage.errors import Refused, TriageError
from loomtriage.lab.alive import wait_gone
from loomtriage.lab.lock import lock_file
from loomtriage.lab.patience import Say
from loomtriage.lab.servers.prometheus import TARGETS
from loomtriage.lab.services import ORDERS, leftovers, services_file
from loomtriage.lab.state import state_file


def make_folder(root: Path) -> Path:
    """The folder of the lab; others may pass through it, as the database's account must."""
    if root.is_dir() and any(root.iterdir()) and not lock_file(root).exists():
        raise Refused(
            f"{root} is not empty and not a lab's folder.",
            hint="Name an empty or a new folder: a start wipes the lab's data.",
        )
    for folder in reversed((root, *root.parents)):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)  # whatever the umask says
    return root


def end_leftovers(root: Path, say: Say) -> None:
    """Wait for services that outlived their supervisor, then kill them; they are marked ours."""
    for leftover in leftovers(root):
        if wait_gone(leftover.pid, leftover.mark, wait_s=2.0):
            continue
        say(f"Ending {leftover.name} (process {leftover.pid}), left over from an earlier lab")
        with suppress(OSError):
            os.killpg(leftover.pid, signal.SIGKILL)
        if not wait_gone(leftover.pid, leftover.mark, wait_s=5.0):
            raise TriageError(
                f"{leftover.name} (process {leftover.pid}) of an earlier lab does not end.",
                hint="End it by hand, or start the lab under another name.",
            )


def clear(root: Path) -> None:
    """Remove the data of the lab before and put its logs aside."""
    data = root / "data"
    for file in (state_file(root), services_file(root), root / ORDERS):
        file.unlink(missing_ok=True)
    for folder in (data, root / TARGETS):
        shutil.rmtree(folder, ignore_errors=True)
    data.mkdir()
    data.chmod(0o711)
    logs = root / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    previous = logs / "previous"
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir()
    for log in logs.glob("*.log"):
        log.rename(previous / log.name)
