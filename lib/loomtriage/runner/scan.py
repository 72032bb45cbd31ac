"""Last look before a run folder is sealed: no secret and no machine path may be in it."""

from __future__ import annotations

import re
from pathlib import Path

from loomtriage.errors import ContractBroken
from loomtriage.sources.packing import SUFFIX, unpack
from loomtriage.sources.secret_forms import Secrets

_USERINFO = re.compile(
    rb"[a-z][a-z0-9+.-]{2,20}://[^\s/:@\"'<>]{1,80}:(?!\*{3}|%2A|REDACTED)[^\s/@\"'<>]{1,120}@"
)
_BEARER = re.compile(rb"(?i)\b(?:bearer|x-lab-token:?)\s+(?!\*{3})[A-Za-z0-9._~+/-]{16,}")


def refuse_secrets(folder: Path, secrets: Secrets) -> None:
    """Scan every artifact, packed ones unpacked, before the folder is sealed.

    Args:
        folder: the run folder in the making.
        secrets: values known to this process, searched for in every usual encoding.

    Raises:
        ContractBroken: one of the secrets, a DSN with a password, a bearer token, or this user's
            home or the run folder's own path was found; names the file and what it holds.
    """
    paths = [p.encode() for p in {str(folder), str(folder.parent), str(Path.home())} if len(p) > 5]
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == SUFFIX:
            content = unpack(content, path.name)
        held, why = _held(content, secrets=secrets, paths=paths, is_text=path.suffix != ".png")
        if held:
            name = path.relative_to(folder).as_posix()
            raise ContractBroken(
                f"{name} holds {held}; the run folder was not written.", hint=f"Report this: {why}"
            )


def _held(
    content: bytes, *, secrets: Secrets, paths: list[bytes], is_text: bool
) -> tuple[str, str]:
    """(what the content must not hold, how it may have come in); both empty when clean."""
    missed = "redaction missed a form."
    if form := secrets.found(content):
        return f"a secret of this process ({form})", missed
    # In a picture's bytes the short patterns would match by chance.
    if not is_text:
        return "", ""
    if _USERINFO.search(content):
        return "a URL with a password", missed
    if _BEARER.search(content):
        return "a token", missed
    if any(p in content for p in paths):
        return "a path of this machine", "a stage wrote an absolute path."
    return "", ""
