"""Loopback: how does a drill talk to the ports of its lab, and to nothing else?"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import httpx

from loomtriage.errors import ContractBroken, Refused, SourceUnavailable

DEADLINE_S = 3.0
# The lab speaks plain HTTP: to read the machine's certificates would take longer than to ask.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def refuse_strangers(urls: Iterable[str]) -> None:
    """Refuse when any of the URLs points outside this machine.

    Raises:
        Refused: one does; the message names its host, never its credentials.
    """
    for url in urls:
        host = urlsplit(url).hostname or ""
        if host not in LOCAL:
            raise Refused(
                f"A drill may not touch host {host or 'without a name'!r}.",
                hint="Drills run in the lab on 127.0.0.1 only: `loomtriage lab up --load 0`.",
            )


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> httpx.Response:
    """One request to a port of the lab; any status comes back.

    Raises:
        Refused: the URL points outside this machine.
        SourceUnavailable: nobody answered within `DEADLINE_S` seconds.
    """
    refuse_strangers([url])
    try:
        with httpx.Client(
            timeout=DEADLINE_S, trust_env=False, follow_redirects=False, verify=_NO_TLS
        ) as client:
            return client.request(method, url, headers=dict(headers or {}), json=body)
    except httpx.HTTPError as error:
        parts = urlsplit(url)
        raise SourceUnavailable(
            f"The lab did not answer {method} {parts.path} on port {parts.port}: "
            f"{type(error).__name__}.",
            hint="Look at `loomtriage lab status`.",
        ) from error


def ask_json(url: str) -> Mapping[str, object]:
    """The JSON object behind a URL of the lab, whatever its status.

    Raises:
        SourceUnavailable: nobody answered.
        ContractBroken: the answer is no JSON object.
    """
    response = ask("GET", url)
    try:
        value = response.json()
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ContractBroken(
            f"{urlsplit(url).path} answered status {response.status_code} without a JSON object.",
            hint="Another program may sit on that port; look at `loomtriage lab status`.",
        )
    return value
