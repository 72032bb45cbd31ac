"""Refusals of PostgreSQL: which missing word and hint does an error of the driver become?"""

from __future__ import annotations

READER = (
    "Give a role that may only read: CREATE ROLE triage LOGIN; "
    "GRANT SELECT ON search_outbox_events, chronicle_outbox_events TO triage."
)
_TOO_LATE = ("57014", "55P03")
"""SQLSTATE of a statement that was cancelled by its timeout, and of a lock not had in time."""
_BUSY = ("53", "57")
"""Classes of SQLSTATE: resources are spent, an operator stopped or starts the server."""
_HINTS = {
    "timeout": "The database did not answer in time. Check locks and load.",
    "auth": f"The database refuses this role or password. {READER}",
    "truncated": "The database broke off in the middle of an answer. Ask again.",
}


def refusal(state: str, said: str, *, was_in: bool) -> tuple[str, str]:
    """Missing word and hint; the driver's text may quote the DSN, so none of it is told.

    Args:
        state: SQLSTATE, empty when the server gave none.
        said: the driver's text.
        was_in: whether the login had succeeded before.
    """
    word = _word(state, said, was_in=was_in)
    if word == "wrong_content":
        foreign = "What answers there is no PostgreSQL. Check host and port."
        ours = f"The database answers with SQLSTATE {state}. Check its schema."
        return word, ours if state else foreign
    if word == "refused" and (state or "FATAL" in said):
        return word, "The server is there and lets nobody in now. Wait, or check the database."
    return word, _HINTS.get(word, "No connection to the database. Check the DSN, and start it.")


def _word(state: str, said: str, *, was_in: bool) -> str:
    if state in _TOO_LATE or (not state and "timeout" in said.lower()):
        return "timeout"
    if state.startswith("28") or state == "42501" or "authentication failed" in said:
        return "auth"
    if state.startswith(_BUSY):
        return "refused"
    if state or "received invalid response" in said:
        return "wrong_content"
    return "truncated" if was_in else "refused"
