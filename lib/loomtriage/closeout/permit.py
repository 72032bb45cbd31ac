"""Permit: which rules say no before a replay touches a single row?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from loomtriage.closeout import audit
from loomtriage.closeout.batches import Warrant
from loomtriage.closeout.plan_file import LIFE, SHOWN_DIGITS, Plan, refuse_old
from loomtriage.closeout.target import (
    Connection,
    read_target,
    refuse_other_target,
    refuse_strong_role,
    refuse_unconfirmed,
)
from loomtriage.errors import Refused

MOST_ROWS = 10_000
"""More in one plan needs a second word."""
LEAST_LETTERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an operator gives with a plan that is to be applied.

    Attributes:
        digest: the first digits of the plan's digest, as the dry run showed them.
        who, why: the person, and the reason or ticket.
        fixed: what was repaired; needed where the cause does not go away by itself.
        env: the environment, typed.
        many: the second word that a very large plan needs.
    """

    digest: str
    who: str
    why: str
    fixed: str = ""
    env: str = ""
    many: bool = False


def permit(connection: Connection, plan: Plan, request: Request, *, now: datetime) -> Warrant:
    """The warrant to replay, when no rule says no; nothing is written.

    Raises:
        Refused: the first rule that says no.
    """
    digest = plan.digest()
    shown = digest[:SHOWN_DIGITS]
    if len(request.digest) < SHOWN_DIGITS or not digest.startswith(request.digest.lower()):
        raise Refused(
            f"The digest {request.digest[:20]!r} is not that of the plan.",
            hint=f"Look at the plan with a dry run, then add --digest {shown}.",
        )
    refuse_late(connection, plan, now=now)
    _refuse_silence(plan, request)
    if not plan.rows:
        raise Refused("The plan holds no row to replay.", hint="See why in its buckets.")
    if len(plan.rows) > MOST_ROWS and not request.many:
        raise Refused(
            f"The plan holds {len(plan.rows)} rows; {MOST_ROWS} is much already.",
            hint="Make a smaller plan, or add --many.",
        )
    found = read_target(connection)
    refuse_other_target(plan.target, found)
    refuse_unconfirmed(found, request.env)
    refuse_strong_role(connection, plan.table)
    return Warrant(
        plan_sha256=digest,
        table=plan.table,
        who=request.who.strip(),
        why=request.why.strip(),
        fixed=request.fixed.strip(),
        is_late=now - plan.made_at > LIFE,
    )


def refuse_late(connection: Connection, plan: Plan, *, now: datetime) -> None:
    """Refuse an old plan of which the database does not remember a row; a dry run asks it too.

    One that has begun was young when it did. Many rows take longer than a plan lives, and each of
    them is compared with the state in which it was seen however late it comes.

    Raises:
        Refused: so it is.
    """
    if not (audit.is_readable(connection) and audit.already(connection, plan.digest())):
        refuse_old(plan, now=now)


def _refuse_silence(plan: Plan, request: Request) -> None:
    """Refuse a replay that nobody answers for.

    Raises:
        Refused: who or why is missing, or what was fixed where something had to be.
    """
    for name, said in (("--by", request.who), ("--why", request.why)):
        if len(said.strip()) < LEAST_LETTERS:
            raise Refused(
                f"A replay is written down with who and why; {name} says nothing.",
                hint=f"Add {name} with a few words.",
            )
    if plan.needs_note and len(request.fixed.strip()) < LEAST_LETTERS:
        raise Refused(
            "These rows fail again for the same cause unless something was repaired.",
            hint="Repair it, then say what with --fixed.",
        )
