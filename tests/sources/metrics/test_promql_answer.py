"""The quick way through an answer says the same as the plain one, or steps aside for it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.sources.metrics.promql_answer import read_matrix
from loomtriage.sources.tape import Unreadable

TIGHT = (",", ":")
ODD_TEXT = st.text(st.sampled_from('"values":[]{},\\ ]x1'), max_size=16)
LABELS = st.dictionaries(st.one_of(ODD_TEXT, st.just("values")), ODD_TEXT, max_size=3)
NUMBERS = st.one_of(
    st.floats(width=64).map(lambda number: repr(number).replace("inf", "Inf")),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "1e+10"]),
)
POINTS = st.lists(st.tuples(st.floats(0, 4e9).map(lambda at: round(at, 3)), NUMBERS), max_size=4)
SERIES = st.lists(st.fixed_dictionaries({"metric": LABELS, "values": POINTS}), max_size=4)


def answer(result, **more) -> bytes:
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data, **more}, separators=TIGHT).encode()


@settings(max_examples=500, deadline=None)
@given(SERIES)
def test_every_number_arrives(result):
    """Labels, milliseconds and values are those of the document, bit for bit."""
    series, notes = read_matrix(answer(result))
    assert notes == ()
    assert [dict(one.labels) for one in series] == [one["metric"] for one in result]
    for one, told in zip(series, result, strict=True):
        assert one.times.tolist() == [round(at * 1000) for at, _ in told["values"]]
        expected = [float(value) for _, value in told["values"]]
        assert np.array_equal(one.values, np.array(expected, "float64"), equal_nan=True)


@given(SERIES)
def test_spacing_does_not_matter(result):
    """A document with blanks and line breaks reads as the same series."""
    tight, _ = read_matrix(answer(result))
    wide, _ = read_matrix(json.dumps(json.loads(answer(result)), indent=1).encode())
    assert [one.times.tolist() for one in wide] == [one.times.tolist() for one in tight]
    for one, other in zip(wide, tight, strict=True):
        assert np.array_equal(one.values, other.values, equal_nan=True)


@pytest.mark.parametrize(
    "points",
    [
        '[[1,"2","3"]]',
        '[[1,"2"],[3]]',
        '[[1,"2,3"]]',
        '[[1,"2"],["3",4,5]]',
        '[["x","2"]]',
        '[[1,"x"]]',
        '[[1e999,"2"]]',
        '[[NaN,"2"]]',
        '[[1,""]]',
        "[[1,null]]",
        "[[]]",
        '[{"1":"2"}]',
        "7",
        '"x"',
    ],
)
def test_what_are_no_points_is_wrong_content(points):
    """A list that holds anything but pairs of time and number is refused, never half read."""
    good = '{"metric":{"a":"b"},"values":[[1,"2"]]}'
    for listed in (
        f'{{"metric":{{}},"values":{points}}}',
        f'{good},{{"metric":{{}},"values":{points}}},{good}',
    ):
        body = f'{{"data":{{"resultType":"matrix","result":[{listed}]}}}}'
        with pytest.raises(Unreadable) as caught:
            read_matrix(body.encode())
        assert caught.value.missing == "wrong_content"


def test_every_cut_is_truncated():
    """Wherever an answer breaks off it is `truncated`, also inside a number."""
    body = answer([{"metric": {"a": "b"}, "values": [[1, "2"], [3, "4"]]}] * 2)
    for end in range(1, len(body)):
        with pytest.raises(Unreadable) as caught:
            read_matrix(body[:end])
        assert (caught.value.missing, str(end) in caught.value.hint) == ("truncated", True)


def test_endless_openings_stay_linear():
    """A body of nothing but opened lists is refused without copying it for each of them."""
    body = b'{"data":' + b'"values":[[' * 200_000
    with pytest.raises(Unreadable) as caught:
        read_matrix(body)
    assert caught.value.missing in {"truncated", "wrong_content"}


def test_native_histograms_are_counted():
    """Series without plain values are left out, and the caveat says how many."""
    plain = {"metric": {}, "values": [[1, "2"]]}
    series, notes = read_matrix(answer([plain, {"metric": {}, "histograms": []}]))
    assert (len(series), notes) == (1, ("1 native histograms were left out.",))
    assert math.isclose(series[0].values[0], 2.0)
