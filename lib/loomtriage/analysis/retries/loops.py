"""Silent loops: which rows go round without ever coming to an end, and nobody is told?

Five ways are known. Each is a function over tables; none reports a backoff that does its work,
in which attempts rise, waits are planned, and every claim ends in a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.retries.backoff import MAX_ATTEMPTS
from loomtriage.analysis.retries.tries import LOST, number
from loomtriage.contract.keys import read_key

LEAST = 3
"""Repetitions of one row that are no accident."""
LEAST_CYCLES = 2
"""Lost leases of one row without progress: a worker that died explains one."""
MOST_SHOWN = 5
CLAIMED, RECLAIMED = "outbox.claim_batch", "outbox.reclaimed"

SAYS: Mapping[str, tuple[str, str]] = {
    "capped": (
        "attempts stand at their cap while the retries go on",
        "Nothing ends these rows: end the cause, or set OUTBOX_TERMINAL_ON_TRANSIENT.",
    ),
    "lease_cycles": (
        "leases run out and rows are reclaimed again, and no attempt is counted",
        "A batch takes longer than its lease: raise OUTBOX_LEASE_SECONDS or make batches smaller.",
    ),
    "claimed_again": (
        "rows are claimed again and again, and no claim has a result",
        "The worker drops what it claims: read its log between claim and result, then fix it.",
    ),
    "no_due_time": (
        "rows wait for a retry that has no time, so that they are tried without a pause",
        "The worker schedules retries without next_retry_at: fix its backoff.",
    ),
    "uncounted": (
        "retries are counted, and no row's attempts rise",
        "The worker does not store attempts, so that none ever reaches its end: fix its retry.",
    ),
}
"""Kind of loop -> what goes on, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One kind of silent loop that was found.

    Attributes:
        kind: key of `SAYS`.
        rows: ids of rows in it, the first few; empty where no signal names them.
        n: rows, or turns where no row is named.
        unit: of n.
        because: the numbers that show it.
        refs: hashes of lines or span ids, one for each of the first rows.
    """

    kind: str
    rows: tuple[str, ...]
    n: int
    unit: str = "rows"
    because: str
    refs: tuple[str, ...] = ()


def silent_loops(
    tries: pd.DataFrame, lines: pd.DataFrame, rows: pd.DataFrame, *, retried: float
) -> tuple[Loop, ...]:
    """Every silent loop that the tables show.

    Args:
        tries: as `tries` makes them.
        lines: a LINES table.
        rows: a ROWS table.
        retried: increase of the counter of scheduled retries.
    """
    found = (
        capped(tries),
        lease_cycles(tries, lines),
        claimed_again(lines, tries),
        no_due_time(rows),
        uncounted(tries, rows, retried=retried),
    )
    return tuple(loop for loop in found if loop is not None)


def capped(tries: pd.DataFrame) -> Loop | None:
    """Rows that are retried at a number of attempts which rose and rises no more."""
    held = _held(tries)
    held = held[held["attempt"].isin(_tops(tries)) | (held["attempt"] >= MAX_ATTEMPTS)]
    if held.empty:
        return None
    at = int(held["attempt"].max())
    because = f"{len(held)} rows were tried {int(held['n'].sum())} times at attempt {at}"
    return _loop("capped", held, because)


def lease_cycles(tries: pd.DataFrame, lines: pd.DataFrame) -> Loop | None:
    """Rows whose lease ran out twice or more since they last came to a result."""
    ended = tries[tries["result"].isin(("retry", "failed", "ok"))]
    since = ended.groupby("row_id")["at"].max().to_dict()
    counts: dict[str, int] = {}
    for at, ids in _reclaimed(lines):
        for row_id in ids:
            if row_id not in since or at > since[row_id]:
                counts[row_id] = counts.get(row_id, 0) + 1
    lost = tries[(tries["result"] == LOST) & (tries["reason"] == "lease_expired")]
    last = pd.to_datetime(lost["row_id"].map(since), utc=True)
    lost = lost[last.isna() | (lost["at"] > last)]
    for name, n in lost.groupby("row_id").size().items():
        counts[str(name)] = max(counts.get(str(name), 0), int(n))
    held = {i: n for i, n in counts.items() if n >= LEAST_CYCLES}
    if not held:
        return None
    because = f"{len(held)} rows went round up to {max(held.values())} times without a result"
    refs = tuple(lost[lost["row_id"].isin(held)]["ref"].head(MOST_SHOWN))
    return Loop(
        kind="lease_cycles", rows=tuple(held)[:MOST_SHOWN], n=len(held), because=because, refs=refs
    )


def claimed_again(lines: pd.DataFrame, tries: pd.DataFrame) -> Loop | None:
    """Claims of which nothing was ever heard again, though the rows were there.

    Any other line that names the claim is its result: not every worker writes one for each row.
    """
    batches: dict[str, int] = {}
    last: dict[str, str] = {}
    heard: set[str] = set()
    told = lines.sort_values("ts", kind="stable") if len(lines) else lines
    for event, fields in zip(told["event"], told["fields"], strict=True):
        batch = read_key("claim_batch_id", fields) if event != RECLAIMED else ""
        if batch and event != CLAIMED:
            heard.add(batch)
        elif batch and (claimed := int(number(fields.get("claimed")) or 0)):
            batches[batch] = claimed
            last[read_key("worker_id", fields)] = batch
    # The last claim of each worker may still be worked on.
    mute = [batch for batch in batches if batch not in heard and batch not in last.values()]
    again = sum(batches[batch] for batch in mute)
    reclaimed = sum(len(ids) for _, ids in _reclaimed(lines))
    if len(mute) < LEAST or again - reclaimed < LEAST:
        return None
    rows = tries["row_id"].nunique()
    because = (
        f"{len(mute)} of {len(batches)} claims took {again} rows and had no result; "
        f"results tell of {rows} rows"
    )
    return Loop(kind="claimed_again", rows=(), n=again, unit="claims of rows", because=because)


def no_due_time(rows: pd.DataFrame) -> Loop | None:
    """Rows that failed and wait, without a time at which they are due."""
    waiting = rows[
        (rows["status"] == "pending")
        & (rows["attempts"].astype(float) > 0)
        & (rows["reason"] != "")
        & rows["next_retry_at"].isna()
    ]
    if waiting.empty:
        return None
    most = int(waiting["attempts"].max())
    because = f"{len(waiting)} rows are pending with a reason, up to {most} attempts, and no time"
    ids = tuple(waiting["id"].astype(str))
    return Loop(kind="no_due_time", rows=ids[:MOST_SHOWN], n=len(waiting), because=because)


def uncounted(tries: pd.DataFrame, rows: pd.DataFrame, *, retried: float) -> Loop | None:
    """Retries that are counted while the attempts of their rows stay where they were."""
    held = _held(tries)
    held = held[~held["attempt"].isin(_tops(tries)) & (held["attempt"] < MAX_ATTEMPTS)]
    if len(held):
        because = f"{len(held)} rows were retried {int(held['n'].sum())} times, always the same one"
        return _loop("uncounted", held, because)
    waiting = rows[(rows["status"] == "pending") & (rows["reason"] != "")]
    if tries.empty and len(waiting) and retried >= LEAST * len(waiting):
        counted = int(waiting["attempts"].astype(float).sum())
        if counted == 0:
            because = f"{retried:.0f} retries were counted, {len(waiting)} rows hold 0 attempts"
            ids = tuple(waiting["id"].astype(str))
            return Loop(kind="uncounted", rows=ids[:MOST_SHOWN], n=len(waiting), because=because)
    return None


def _held(tries: pd.DataFrame) -> pd.DataFrame:
    """Rows retried `LEAST` times or more under one number in one life: row_id, attempt, n, ref.

    A row that did so in several lives is told of once.
    """
    retried = tries[(tries["result"] == "retry") & (tries["attempt"] > 0)]
    grouped = retried.groupby(["row_id", "life", "attempt"])
    held = grouped.agg(n=("at", "size"), ref=("ref", "last"))
    held = held[held["n"] >= LEAST].reset_index().sort_values("n", kind="stable")
    return held.drop_duplicates(["row_id", "attempt"], keep="last").sort_index()


def _tops(tries: pd.DataFrame) -> set[int]:
    """Attempt numbers to which some row rose while it was retried, within one life."""
    retried = tries[tries["result"] == "retry"]
    ends = retried.groupby(["row_id", "life"])["attempt"].agg(["min", "max"])
    return set(ends.loc[ends["max"] > ends["min"], "max"])


def _reclaimed(lines: pd.DataFrame) -> list[tuple[pd.Timestamp, list[str]]]:
    """When rows were reclaimed, and which."""
    mine = lines[lines["event"] == RECLAIMED] if len(lines) else lines
    found = []
    for at, fields in zip(mine["ts"], mine["fields"], strict=True):
        ids = fields.get("outbox_event_ids")
        if isinstance(ids, list):
            found.append((pd.Timestamp(at), [str(one) for one in ids]))
    return found


def _loop(kind: str, held: pd.DataFrame, because: str) -> Loop:
    first = held.head(MOST_SHOWN)
    ids = tuple(first["row_id"].astype(str))
    return Loop(kind=kind, rows=ids, n=len(held), because=because, refs=tuple(first["ref"]))
