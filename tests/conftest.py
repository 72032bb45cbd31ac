"""Skips are printed with their reason; where nothing may be skipped, a skip is a failure."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No test says how long something takes, an example drawn by hypothesis no more than any other.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

NO_SKIP = os.environ.get("LOOMTRIAGE_NO_SKIP", "") not in {"", "0"}

# What no machine can install for itself; a reason that names one of these is always good.
OUTSIDE = (
    "samples",  # evidence runs of Wordloom, which do not travel with the project
    "LOOMTRIAGE_TEST_ELASTIC_URL",  # a real Elasticsearch, tried by hand
)

LONGEST = (
    "test_nbval",
    "test_fault_kinds",
    "test_kill",
    "test_end_to_end",
    "test_endings",
    "test_perform",
    "test_browser",
)


def _forbidden(reason: str) -> bool:
    return NO_SKIP and not any(word in reason for word in OUTSIDE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn a forbidden skip into a failure that names its reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _forbidden(str(call.excinfo.value)):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped where nothing may be: {call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """The same for a file that skips as a whole."""
    report = yield
    if report.skipped and _forbidden(str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped where nothing may be: {report.longrepr}"
    return report


def pytest_collection_modifyitems(items):
    """The longest files come first: none is waited for."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else 99)
