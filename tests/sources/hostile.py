"""Log files as nobody would write them, by seed."""

from __future__ import annotations

import json
import random

GOOD = '{"ts": "2026-02-14T14:00:%02d.5%05d+00:00", "level": "INFO", "reason": "r%d", "n": %d}'
TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: x"
OTHER = (
    "plain",
    "",
    "  ",
    "[1, 2]",
    '{"a": {"b": 1}}',
    "{}",
    "{" * 100,
    '{"ts": ' + "9" * 5000 + "}",
    '{"ts": ' + "[" * 100_000,
    "During handling of the above exception",
    "Traceback (most recent call last):\n  File x",
    "[OK] Database: postgresql+psycopg://w:hunter2@h/d",
    "{" + "x" * 70,
    "\x00" * 7,
    "python : INFO\n    + CategoryInfo : NotSpecified",
)
TWISTS = (
    ('"n": ', '"n":'),
    ('"n": ', '"n" : '),
    ('"n": ', '"n": 0'),
    ('"n": ', '"n": -'),
    ('"n": ', '"n": NaN, "m": '),
    ('"n": ', '"n": tru'),
    ('"n": ', '"n": [1], "m": '),
    ('"n": ', '"n": null, "m": '),
    ('"n": ', '"ts": "x", "n": '),
    ('"n": ', '"token": '),
    ('"n": ', '"password": "a\\nb", "n": '),
    ('"n"', '"reason"'),
    ('"n"', '"re\\u0061son"'),
    ('"r', '"\\ud800'),
    ('"r', '"a\\"b\\\\'),
    ('"r', '"token=abc'),
    ('"r', '"\t'),
    ('"r', '"é'),
    ("02-14", "02-29"),
    ("02-14", "02-30"),
    ("02-14", "13-01"),
    ("02-14", "12-31"),
    ("+00:00", ""),
    ("+00:00", "Z"),
    ("+00:00", "+08:00"),
    ("+00:00", "-00:00"),
    (".5", ","),
)
VALUES = (None, True, 5, 1.0, 1e5, "", [1], "é", "x" * 90)


def hostile_file(seed: int, *, pieces: int = 12) -> bytes:
    """The bytes of one file."""
    chance = random.Random(seed)
    text = "".join(_piece(chance) for _ in range(chance.randrange(1, pieces)))
    kind = chance.randrange(40)
    data = text.encode("utf-16" if kind == 0 else "utf-16-be" if kind == 1 else "utf-8")
    if kind == 2:
        return b"\xef\xbb\xbf" + data
    if kind < 8:
        at = chance.randrange(len(data))
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    return data


def _piece(chance: random.Random) -> str:
    good = GOOD % (*map(chance.randrange, (60, 100_000, 5, 100)),)
    end = chance.choice(["\n"] * 9 + ["\r\n", ""])
    kind = chance.randrange(20)
    if kind < 7:
        return good + end
    if kind < 11:
        return good.replace(*chance.choice(TWISTS)) + end
    if kind < 14:
        return (chance.choice(OTHER) if chance.random() < 0.9 else TRACEBACK) + end
    return {
        14: good[: chance.randrange(len(good))],
        15: TRACEBACK,
        16: f"\x1b[31m{good}\x1b[0m",
        17: f"{good[:44]}\n{good[44:88]}\n{good[88:]}",
        18: json.dumps({"ts": "2026-02-14T14:00:00Z", "reason": chance.choice(VALUES)}),
        19: json.dumps({"ts": "2026-02-14T14:00:00Z", "exc_info": f"{TRACEBACK}\té http://u:p@h"}),
    }[kind] + end
