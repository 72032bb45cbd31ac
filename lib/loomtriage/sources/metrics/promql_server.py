"""A PromQL server: prometheus-api-client speaks its API, our own HTTP carries it.

The client knows paths and parameters. What it would do with an answer is kept from it: parse the
body a second time, drop the warnings, raise a `KeyError` where there is no data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from loomtriage.model import Window
from loomtriage.sources.deadline import Deadline
from loomtriage.sources.http import Http, Limits, Reply

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_NOWHERE = "http://prometheus"
"""All that the client learns of the address; userinfo in it never passes through foreign code."""
_NOTHING = b'{"data": {"result": []}}'


class PromqlServer:
    """Asks Prometheus, or whoever speaks its HTTP API.

    Raises:
        UsageError: the URL is none.
    """

    def __init__(self, url: str, *, limits: Limits | None = None) -> None:
        self._http = Http(url, limits=limits)

    def deadline(self) -> Deadline:
        """A fresh deadline for one pull of several requests."""
        return self._http.deadline()

    def query(self, text: str, *, at: datetime | None, deadline: Deadline) -> Reply:
        """The text at one instant (aware UTC), None for now."""
        when = {} if at is None else {"time": f"{at.timestamp():.3f}"}
        return self._asked(lambda client: client.custom_query(text, params=when), deadline)

    def query_range(self, text: str, *, window: Window, step_s: int, deadline: Deadline) -> Reply:
        """The text at every step of the window."""
        # The client rounds both ends to whole seconds; these take their place.
        exact = {"start": _seconds(window.start), "end": _seconds(window.end)}
        return self._asked(
            lambda client: client.custom_query_range(
                text, window.start, window.end, f"{step_s}s", params=exact
            ),
            deadline,
        )

    def targets(self) -> Reply:
        """What the server scrapes."""
        return self._asked(lambda client: client.get_targets(state="active"), self.deadline())

    def exemplars(self, text: str, *, window: Window) -> Reply:
        """Exemplars of the selected series; the client has no call for them."""
        asked = {"query": text, "start": _seconds(window.start), "end": _seconds(window.end)}
        return self._http.get("/api/v1/query_exemplars", tuple(asked.items()))

    def _asked(self, call: Callable[[Any], object], deadline: Deadline) -> Reply:
        from prometheus_api_client import PrometheusConnect
        from requests import Session

        heard: list[Reply] = []
        with Session() as session:
            session.trust_env = False
            client = PrometheusConnect(_NOWHERE, session=session, method="POST")
            # Only now: the client mounts an adapter of its own, with retries of its own.
            session.mount(_NOWHERE, _adapter(self._http, deadline, heard))
            call(client)
        return heard[-1]


def _seconds(moment: datetime) -> str:
    return f"{moment.timestamp():.3f}"


def _adapter(http: Http, deadline: Deadline, heard: list[Reply]) -> Any:
    """A transport adapter that hands each request to `http` and keeps the reply.

    Made in a function, because its class needs `requests`, which only a live server pays for.
    """
    from io import BytesIO

    from requests import Response
    from requests.adapters import BaseAdapter

    class _Adapter(BaseAdapter):
        def send(self, request: PreparedRequest, *_: object, **__: object) -> Response:
            url = urlsplit(request.url or "")
            asked = parse_qsl(url.query, keep_blank_values=True)
            # The client puts the parameters of a POST into the URL, where a long query is cut.
            if request.method == "POST":
                heard.append(http.post(url.path, dict(asked), deadline=deadline))
            else:
                heard.append(http.get(url.path, asked, deadline=deadline))
            answer = Response()
            answer.status_code, answer.raw = 200, BytesIO(_NOTHING)
            answer.request, answer.url = request, _NOWHERE
            return answer

        def close(self) -> None:
            """Nothing stays open."""

    return _Adapter()
