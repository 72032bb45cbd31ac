"""Points: how do the lists of points in a PromQL answer become arrays without a detour?

The points are nearly all bytes of an answer. They are lifted out of the document and read as
numbers; only what remains becomes Python objects.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from loomtriage.sources.json_text import read_json

# Inside a JSON string a quote is escaped, so this never matches within one.
_VALUES = re.compile(rb'"values":\[\[')
_NUMBERS = TypeAdapter(list[float])
_TIMES = TypeAdapter(list[tuple[float]])
_PAIRS = TypeAdapter(list[tuple[float, float]])
Arrays = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Unix milliseconds and values."""


class Document:
    """A PromQL answer whose lists of points are read when they are asked for.

    Attributes:
        answer: the whole answer; each list of points in it may be a number that stands for it.

    Raises:
        Unreadable: `truncated` when the body breaks off, `wrong_content` when it is no JSON.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._places: list[tuple[int, int]] = []
        self._grids: dict[bytes, NDArray[np.int64]] = {}
        rest = self._lift()
        with suppress(KeyError, RecursionError, TypeError, ValueError):
            self.answer: object = json.loads(rest.decode("utf-8-sig"))
            found = [one["values"] for one in self.answer["data"]["result"] if "values" in one]
            if found == list(range(len(self._places))):
                return
        # The lists cannot be told apart by their brackets, or something is wrong: read it plainly.
        self._places, self.answer = [], read_json(body)

    def points(self, listed: object) -> Arrays:
        """The points that stand in the answer as `listed`.

        Raises:
            ValueError: they are no pairs of a finite time and a number.
        """
        if not self._places or not isinstance(listed, int):
            return _as_pairs(_PAIRS.validate_python(listed))
        start, end = self._places[listed]
        text = self._body[start:end]
        with suppress(ValueError):
            return self._quickly(text)
        return _as_pairs(_PAIRS.validate_json(text))

    def _lift(self) -> bytes:
        """The document with a number in place of each list of points."""
        kept: list[bytes] = []
        done = 0
        starts = [match.end() - 2 for match in _VALUES.finditer(self._body)]
        for start, following in pairwise([*starts, len(self._body)]):
            # Backwards, since only a few labels stand between one list and the next.
            end = self._body.rfind(b"]]", start, following) + 2
            if end < start:
                break
            kept.append(self._body[done:start] + b"%d" % len(self._places))
            self._places.append((start, end))
            done = end
        return b"".join(kept) + self._body[done:]

    def _quickly(self, text: bytes) -> Arrays:
        """`[[time,"value"],...]`, cut at its quotes; series of one target share their times.

        Raises:
            ValueError: it is written in any other way.
        """
        parts = text.split(b'"')
        grid = b'"'.join(parts[::2])  # [[time,"],[time,"]]
        times = self._grids.get(grid)
        if times is None:
            told = _TIMES.validate_json(grid.replace(b',"]', b"]"))
            times = self._grids[grid] = _milliseconds(np.array(told).reshape(-1))
        values = _NUMBERS.validate_json(b"[%b]" % b",".join(parts[1::2]))
        if len(values) != len(times):
            raise ValueError("a value holds a comma")
        return times, np.fromiter(values, "float64", len(values))


def _as_pairs(points: list[tuple[float, float]]) -> Arrays:
    table = np.array(points, dtype="float64").reshape(-1, 2)
    return _milliseconds(table[:, 0]), np.ascontiguousarray(table[:, 1])


def _milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    if not (np.abs(seconds) < 1e12).all():
        raise ValueError("a sample has no time")
    return np.rint(seconds * 1000).astype("int64")
