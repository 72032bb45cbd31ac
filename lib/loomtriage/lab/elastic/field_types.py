"""Which JSON values does a field type take, and why not, in Elasticsearch's own words?"""

from __future__ import annotations

import math
from datetime import datetime

_INTEGER_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_FLOATS = frozenset({"half_float", "float", "double"})
_TEXTS = frozenset({"text", "keyword", "wildcard"})
VALUE_TYPES = frozenset({*_INTEGER_BITS, *_FLOATS, *_TEXTS, "boolean", "date"})


def misfit(kind: str, value: object) -> str:
    """Why a value cannot be a field of this type, in Elasticsearch's words; empty if it can."""
    if isinstance(value, dict):
        return (
            "Can't get text on a START_OBJECT"
            if kind in _TEXTS
            else "Cannot parse object as number"
        )
    if kind in _TEXTS:
        return ""
    if kind == "boolean":
        return _misfit_boolean(value)
    if kind == "date":
        return _misfit_date(value)
    return _misfit_number(kind, value)


def _misfit_boolean(value: object) -> str:
    if isinstance(value, bool) or value in ("true", "false", ""):
        return ""
    return f"Failed to parse value [{value}] as only [true] or [false] are allowed."


def _misfit_date(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return ""
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        if str(value).isdecimal():
            return ""
        return (
            f"failed to parse date field [{value}] "
            "with format [strict_date_optional_time||epoch_millis]"
        )
    return ""


def _misfit_number(kind: str, value: object) -> str:
    if isinstance(value, bool):
        return "Current token (VALUE_TRUE) not numeric, can not use numeric value accessors"
    try:
        number = float(str(value))
    except ValueError:
        return f'For input string: "{value}"'
    bits = _INTEGER_BITS.get(kind)
    if bits is None or math.isnan(number):
        finite = math.isfinite(number)
        return "" if finite else f"[{kind}] supports only finite values, but got [{value}]"
    whole = value if isinstance(value, int) else number
    if not -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1):
        return f"Value [{value}] is out of range for {'an' if kind == 'integer' else 'a'} {kind}"
    return ""
