"""The commands that close failed rows out: plan, and replay by a plan."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import Json, Out, out_dir
from loomtriage.cli.terminal import printable, relative, say
from loomtriage.errors import ContractBroken, Exit, SourceUnavailable, UsageError

if TYPE_CHECKING:
    from loomtriage.closeout.plan_file import Plan
    from loomtriage.closeout.replay import Outcome

app = typer.Typer(
    help="Failed rows: what to do about each, and replay.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Where = Annotated[str, typer.Option("--source", help="live or lab[:NAME].")]
Of = Annotated[str, typer.Option("--projection", help="search or chronicle, or in full.")]


@app.command()
def plan(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    source: Where = "live",
    projection: Of = "search",
    reason: Annotated[str, typer.Option(help="Offer only rows of this reason.")] = "",
    entity_type: Annotated[str, typer.Option(help="Look only at this entity type.")] = "",
    op: Annotated[str, typer.Option(help="Look only at this operation.")] = "",
    limit: Annotated[int, typer.Option(help="Most rows that the plan may hold.", min=1)] = 500,
    quiet: Annotated[
        int, typer.Option(help="Seconds without a failure until a cause may be over.", min=0)
    ] = 60,
    out: Out = "",
    as_json: Json = False,
) -> None:
    """Bucket the failed rows, say what closes each out, and fix what may be replayed. Read only.

    Example: loomtriage close-out plan --source lab
    """
    import json

    from loomtriage.analysis.templates import skeleton
    from loomtriage.closeout.failed_rows import Asked
    from loomtriage.closeout.plan import Wanted, make_plan
    from loomtriage.closeout.plan_file import write_plan
    from loomtriage.closeout.plan_words import plan_words
    from loomtriage.contract.keys import canonical_projection

    asked = Asked(projection=canonical_projection(projection), entity_type=entity_type, op=op)
    wanted = Wanted(asked=asked, reason=reason, most=limit, quiet_s=float(quiet))
    made = make_plan(_reader_dsn(source), wanted, template=skeleton)
    path = _plan_path(made, out)
    if made.buckets:
        write_plan(made, path)
    if as_json:
        print(json.dumps({"plan": path.name, **made.as_json(), "rows": len(made.rows)}, indent=1))
        return
    print(printable(plan_words(made, relative(path), source)))


@app.command()
def replay(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    plan: Annotated[str, typer.Argument(help="The file that `close-out plan` wrote.")],
    source: Where = "live",
    apply: Annotated[bool, typer.Option("--apply", help="Really replay.")] = False,
    by: Annotated[str, typer.Option("--by", "--who", help="Who answers for it.")] = "",
    why: Annotated[str, typer.Option(help="Why, or the ticket.")] = "",
    fixed: Annotated[str, typer.Option(help="What was repaired.")] = "",
    confirm_env: Annotated[str, typer.Option(help="The environment, typed.")] = "",
    digest: Annotated[str, typer.Option(help="The plan's digest, as the dry run shows.")] = "",
    rate: Annotated[float, typer.Option(help="Rows per second; 0 lifts it.", min=0.0)] = 50.0,
    many: Annotated[bool, typer.Option("--many", help="More than 10 000 rows.")] = False,
    out: Out = "",
) -> None:
    """Replay exactly the rows of a plan, canary first. Without --apply: a dry run.

    Example: loomtriage close-out replay runbooks/runs/20260214T142130Z-plan-1a2b3c.json
    """
    from loomtriage.closeout.permit import Request, permit, refuse_late
    from loomtriage.closeout.plan_file import read_plan
    from loomtriage.closeout.plan_words import dry_words, outcome_words
    from loomtriage.closeout.replay import Pace, dry_run
    from loomtriage.closeout.replay import replay as run
    from loomtriage.closeout.target import connected, read_target, refuse_other_target

    path = Path(plan)
    made = read_plan(path)
    if not apply:
        dsn = _replayer_dsn(source)
        with connected(dsn, read_only=True) as session:
            refuse_late(session, made, now=datetime.now(UTC))
            refuse_other_target(made.target, read_target(session))
            told = dry_run(session, made)
        print(printable(dry_words(made, told, plan_path=relative(path), source=source)))
        raise typer.Exit(int(Exit.OK if told["ready"] else Exit.NO_DATA))
    request = Request(digest=digest, who=by, why=why, fixed=fixed, env=confirm_env, many=many)
    with _no_drill(source):
        dsn = _replayer_dsn(source)
        with connected(dsn, read_only=False) as session:
            warrant = permit(session, made, request, now=datetime.now(UTC))
            pace = Pace(rows_per_s=rate, batch=100 if rate else 1000)
            outcome = run(session, made, warrant, pace=pace, say=say)
    audit = _audit(dsn, made)
    if outcome.cut and audit is not None:
        # The last batch may have been written although its answer never came.
        outcome.cut_short(outcome.cut, back=len(audit))
    print(printable(outcome_words(made, outcome)))
    folder = _keep(made, outcome, audit or [], source=source, out=out)
    print(f"record    {relative(folder)}")
    raise typer.Exit(int(outcome.exit_code))


@app.command()
def sql() -> None:
    """Print the SQL that makes the audit table and the role that may replay.

    Example: loomtriage close-out sql
    """
    from loomtriage.closeout.audit import audit_sql

    print(audit_sql(), end="")


def _reader_dsn(source: str) -> str:
    from loomtriage.evidence import lab_state
    from loomtriage.settings import settings

    kind, name = _split(source)
    if kind == "lab":
        return lab_state(name).triage_dsn
    return _dsn_in(settings().database_env, "a role that can only read")


def _replayer_dsn(source: str) -> str:
    from loomtriage.closeout.audit import REPLAYER_ROLE, has_audit, make_audit
    from loomtriage.evidence import lab_state
    from loomtriage.lab.state import database_url, password
    from loomtriage.settings import settings

    kind, name = _split(source)
    if kind == "live":
        return _dsn_in(settings().replay_database_env, f"the role {REPLAYER_ROLE}")
    lab = lab_state(name)
    if not has_audit(lab.triage_dsn):
        say("This lab has no audit table yet; it gets one now, and a role that may only replay.")
        make_audit(lab.dsn, password=password(REPLAYER_ROLE, lab.token))
    return database_url(lab.ports["postgres"], role=REPLAYER_ROLE, token=lab.token)


def _no_drill(source: str) -> AbstractContextManager[None]:
    """A drill counts its lab's rows and replays what it failed: none may begin meanwhile.

    Raises:
        Refused: on entering, when one is running.
    """
    from loomtriage.drills.lock import drill_lock
    from loomtriage.evidence import lab_state
    from loomtriage.settings import settings

    kind, name = _split(source)
    if kind != "lab":
        return nullcontext()
    return drill_lock(settings().home_dir(), lab_state(name).lab_id)


def _split(source: str) -> tuple[str, str]:
    kind, _, name = source.partition(":")
    if kind == "lab":
        return kind, name or "default"
    if source != "live":
        raise UsageError(
            f"source {source[:60]!r} cannot be closed out.", hint="Use live or lab[:NAME]."
        )
    return kind, ""


def _dsn_in(name: str, role: str) -> str:
    from loomtriage.postgres.dsn import read_dsn

    dsn = os.environ.get(name, "")
    if not dsn.strip():
        raise UsageError(f"{name} is not set.", hint=f"Set it to the DSN of {role}.")
    return read_dsn(dsn, name=name)


def _plan_path(made: Plan, out: str) -> Path:
    """Where a plan goes: a new name below the folder of runs."""
    folder = out_dir(out)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot write to {folder}: {error.strerror}.", hint="Give a folder with --out."
        ) from None
    return folder / f"{made.made_at:%Y%m%dT%H%M%SZ}-plan-{made.digest()[:6]}.json"


def _audit(dsn: str, made: Plan) -> list[str] | None:
    """The audit of the plan over a connection of its own; None when that cannot be had."""
    from loomtriage.closeout.audit import TABLE, audit_lines
    from loomtriage.closeout.target import connected

    try:
        with connected(dsn, read_only=True) as session:
            return list(audit_lines(session, made.digest()))
    except SourceUnavailable as error:
        say(f"The record is without the audit, which stands in {TABLE}: {error.message}")
        return None


def _keep(made: Plan, outcome: Outcome, audit: list[str], *, source: str, out: str) -> Path:
    """A run folder with the plan, the audit so far, and what came of it; secrets cut out.

    What rows failed with was never redacted, and no record may be missing because of it.
    """
    import json

    from loomtriage.evidence import secrets_of
    from loomtriage.model import Window
    from loomtriage.runner.folder import staging, windows_json
    from loomtriage.runner.scan import refuse_secrets
    from loomtriage.sources.redact import redact

    end = datetime.now(UTC) + timedelta(milliseconds=1)
    secrets = secrets_of(source)

    def clean(text: str) -> str:
        text = redact(text).replace(str(Path.home()), "~")
        return secrets.cut(text.encode()).decode()

    texts = {
        "plan.json": json.dumps({**made.as_json(), "sha256": made.digest()}, indent=1) + "\n",
        "audit.jsonl": "".join(f"{line}\n" for line in audit),
        "outcome.json": json.dumps(outcome.as_json(), indent=1) + "\n",
    }
    with staging("replay", out_dir(out)) as folder:
        for name, text in texts.items():
            folder.write(name, clean(text))
            try:
                refuse_secrets(folder.path, secrets)
            except ContractBroken as error:
                folder.write(name, json.dumps({"withheld": error.message}) + "\n")
        return folder.seal(
            {
                "parameters": {"source": source, "plan": made.digest()},
                "sources": {"rows": str(made.target)},
                **windows_json(Window(made.made_at, end), None),
            }
        )
