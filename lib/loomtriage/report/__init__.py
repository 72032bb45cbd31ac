"""The report: charts, tables and one self-contained page built from the stages' results."""

from loomtriage.report.canvas import Chart
from loomtriage.report.charts import Mark, gauges, increases, timeline
from loomtriage.report.page import Page, Section, html, markdown
from loomtriage.report.tables import Table
from loomtriage.report.text import text
from loomtriage.report.waterfall import waterfall

__all__ = [
    "Chart",
    "Mark",
    "Page",
    "Section",
    "Table",
    "gauges",
    "html",
    "increases",
    "markdown",
    "text",
    "timeline",
    "waterfall",
]
