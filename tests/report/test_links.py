"""Which addresses the report makes clickable."""

from __future__ import annotations

import pytest

from loomtriage.report.links import allowed, host, origin

GRAFANA = frozenset({origin("https://grafana.example/d/x")})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9090/graph?g0.expr=up",
        "http://localhost:16686/trace/abc",
        "http://[::1]:3000/",
        "https://grafana.example/d/other?from=1&to=2",
        "https://grafana.example:443/d",
    ],
)
def test_loopback_and_configured_sources_are_links(url):
    """Loopback and the origins of this run's sources may be linked."""
    assert allowed(url, GRAFANA)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:hit()",
        "JAVASCRIPT:hit()",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "http://evil.example/",
        "http://grafana.example/",
        "https://grafana.example:444/",
        "https://grafana.example.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:9090@evil.example/",
        "http://user:secret@127.0.0.1/",
        "https://evil.example\\@127.0.0.1/",
        "http://127.0.0.1\\@evil.example/",
        "http://127.0.0.1/ onclick=x",
        'http://127.0.0.1/"x',
        "http://127.0.0.1/<b>",
        "http://127.0.0.1/\n",
        "http://127.0.0.1/\u202e",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.1/" + "a" * 5000,
        "http://0x7f000001/",
    ],
)
def test_everything_else_is_text(url):
    """No other scheme, host, port, user name or odd character makes a link."""
    assert not allowed(url, GRAFANA)


def test_a_link_shows_where_it_leads():
    """The text of a link is its host and port."""
    assert host("http://127.0.0.1:9090/graph?x") == "127.0.0.1:9090"
