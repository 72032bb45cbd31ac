"""Scopes narrow, never widen, and escape what enters PromQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.errors import UsageError
from loomtriage.model import Scope
from loomtriage.model.scope import escape_label_value


def test_a_set_key_cannot_be_changed():
    """A stage may narrow, never widen or move."""
    with pytest.raises(UsageError):
        Scope(op="upsert").narrow(op="delete")


def test_an_unknown_key_is_refused():
    """A typo in a key is a usage error, not a silent nothing."""
    with pytest.raises(UsageError):
        Scope().narrow(projecton="x")


def test_the_selector_names_only_what_is_set():
    """Empty keys are no matchers."""
    assert Scope(env="dev", reason="es_unreachable").selector() == (
        'env="dev",reason="es_unreachable"'
    )


@given(st.text())
def test_an_escaped_value_cannot_leave_its_quotes(value):
    """Unescaping gives the value back, and no bare quote or newline is left inside."""
    escaped = escape_label_value(value)
    bare = escaped.replace("\\\\", "").replace('\\"', "").replace("\\n", "")
    assert '"' not in bare
    assert "\n" not in bare
    back = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], escaped, flags=re.DOTALL)
    assert back == value
