"""Last look before a run folder is sealed: no secret and no machine path may be in it."""

from __future__ import annotations

import re
from pathlib import Path

from loomtriage.errors import ContractBroken

_USERINFO = re.compile(
    rb"[a-z][a-z0-9+.-]{2,20}://[^\s/:@\"'<>]{1,80}:(?!\*{3}|%2A|REDACTED)[^\s/@\"'<>]{1,120}@"
)
_BEARER = re.compile(rb"(?i)\b(?:bearer|x-lab-token:?)\s+(?!\*{3})[A-Za-z0-9._~+/-]{16,}")


def refuse_secrets(folder: Path) -> None:
    """Scan every text artifact.

    Raises:
        ContractBroken: a DSN with a password, a bearer token, or this user's home or the run
            folder's own path was found; names the file.
    """
    paths = [p.encode() for p in {str(folder), str(folder.parent), str(Path.home())} if len(p) > 5]
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".png":
            continue
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for what, pattern in (("a URL with a password", _USERINFO), ("a token", _BEARER)):
            if pattern.search(content):
                raise ContractBroken(
                    f"{name} holds {what}; the run folder was not written.",
                    hint="Report this: redaction missed a form.",
                )
        if any(p in content for p in paths):
            raise ContractBroken(
                f"{name} holds a path of this machine; the run folder was not written.",
                hint="Report this: a stage wrote an absolute path.",
            )
