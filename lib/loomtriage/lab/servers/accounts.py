"""As whom a program runs that refuses to run as root, and where that account may go."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loomtriage.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged user of this machine."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """The account to become when we are root; None when we need not change.

    Raises:
        Refused: we are root, and the machine has no such account.
    """
    if os.getuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")  # an unknown uid will not do: the server looks it up
    except KeyError:
        raise Refused(
            "PostgreSQL refuses to run as root, and this machine has no user nobody.",
            hint="Start the lab as an ordinary user.",
        ) from None
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def must_reach(folder: Path, account: Account) -> None:
    """Check that the account may pass through a folder and all above it.

    Raises:
        Refused: names the topmost one that is closed.
    """
    closed = [
        path
        for path in (folder, *folder.parents)
        if not path.stat().st_mode & 0o001 and path.stat().st_uid != account.uid
    ]
    if closed:
        raise Refused(
            f"PostgreSQL refuses to run as root, and user nobody may not enter {closed[-1]}.",
            hint="Set LOOMTRIAGE_HOME to a folder that others may pass (mode 0711).",
        )


def run_as(
    account: Account | None, command: tuple[str, ...], *, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as an account, None for us; both outputs in one text.

    Raises:
        OSError: it cannot be started by that account.
        subprocess.TimeoutExpired: it took more than a minute.
    """
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=dict(env),
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=() if account else None,
        timeout=60,
    )
