"""The incident report of the invented incident, every text of it through one function."""

from __future__ import annotations

from loomtriage.report.postmortem import Moment, Postmortem, Story
from loomtriage.report.tables import Table
from tests.report.make import START, Say, plain, plain_charts
from tests.report.make_page import GRAFANA, QUERY, page


def incident(say: Say = plain, *, url: str = "") -> Postmortem:
    """A whole draft; every address becomes `url` if given."""
    where = url or GRAFANA
    moments = (
        Moment(
            at="2026-02-14T14:21:30.250Z", source="metrics", says=say("Retries began"), query="q"
        ),
        Moment(at="2026-02-14T14:27:29.750Z", source="logs", says="Last line", query=say(QUERY)),
        Moment(at="2026-02-15T00:00:01.000Z", source=say("rows"), says="A day later", query="q"),
    )
    story = Story(
        summary=(say("The worker cannot open a connection to Elasticsearch."),),
        impact=((say("Rows behind"), say("133 rows")),),
        timeline=tuple(
            Moment(at=m.at, source=m.source, says=m.says, query=m.query, url=where) for m in moments
        ),
        because=(say("133 × retry with es_unreachable (0.0 expected)"),),
        rejected=((say("slow Elasticsearch (es_slow)"), say("no request was answered late")),),
        rows=((say("search_index_to_elastic"), "pending", "133", "", say("waits for its turn")),),
        rows_note=say("As of 2026-02-14 14:28:00.000 UTC."),
        caveats=(say("logs: truncated at 10,000 lines."),),
    )
    table = Table(
        id="buckets",
        title=say("Failed rows"),
        columns=("reason",),
        rows=((say("es_unreachable"),),),
    )
    return Postmortem(
        title=say("Incident report, draft"),
        run=say("20260214T142800Z-path-1a2b3c"),
        verdict_json=page(say, url=url).verdict_json,
        story=story,
        charts=(plain_charts()["increases"],),
        closing=(table,),
        generated_at=START,
        sources=((say("metrics"), say("http://127.0.0.1:9090")),),
    )
