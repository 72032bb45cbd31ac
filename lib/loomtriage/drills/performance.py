"""Performance: what does each step of a drill do, and what does it leave for the next?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.drills.aftermath import come_to_rest, compare
from loomtriage.drills.clock import ClockMark
from loomtriage.drills.cross import fits, judge
from loomtriage.drills.digest import LabDigest, take_digest
from loomtriage.drills.effects import check_effects
from loomtriage.drills.expect import Observed
from loomtriage.drills.fault import Checked, Inject, Noop, Placebo
from loomtriage.drills.faults.worker import dress
from loomtriage.drills.guards import (
    refuse_foreign_writes,
    refuse_nothing_to_do,
    refuse_wrong_target,
)
from loomtriage.drills.keeper import Keeper
from loomtriage.drills.meter import read_meters
from loomtriage.drills.record import Step
from loomtriage.drills.result import Phase, TriageAnswer, grade
from loomtriage.drills.rows import FAILED, RowCounts, count_rows
from loomtriage.drills.setup import Setup
from loomtriage.drills.signals import Signals
from loomtriage.drills.steady import demand_steady
from loomtriage.drills.waiting import SAY_EVERY_S, wait_until
from loomtriage.drills.watch import Alarm, Invalid, raise_alarm
from loomtriage.drills.windows import LEAST_WORK, Came, Readings, conserved
from loomtriage.errors import TriageError
from loomtriage.lab.load import Load
from loomtriage.lab.state import is_alive
from loomtriage.model import Finding, Window
from loomtriage.model.window import iso
from loomtriage.stages.result import check_safely

STRANGERS_S = 1.0
WITNESS_WITHIN_S = 3.0


class Performance:
    """One drill on its way; each method is a step."""

    def __init__(self, setup: Setup, signals: Signals) -> None:
        self.setup, self.signals = setup, signals
        self.fault: Checked | None = None
        self.readings = Readings()
        self.witness: list[str] = []
        self.notes: list[str] = [setup.drill.told()]
        self.findings: list[Finding] = []
        self.fits: tuple[str, ...] = ()
        self.phases: list[Phase] = []
        self.answer: TriageAnswer | None = None
        self.start: LabDigest | None = None
        self.end: LabDigest | None = None
        self.clock = ClockMark.now()
        self._rows: RowCounts = RowCounts(by_status={})
        self._load: Load | None = None
        self._load_stopped, self.load_ended = False, ""
        self._keeper: Keeper | None = None
        self._since = self._baseline_start = self._applied_at = datetime.now(UTC)

    def preflight(self) -> LabDigest:
        """Refuse whatever is not the lab at rest, then say what it looks like."""
        setup = self.setup
        refuse_wrong_target(setup.lab)
        refuse_nothing_to_do(setup.drill, setup.lab)
        demand_steady(
            setup.lab, within_s=setup.times.steady_s, say=setup.say, pause=self.signals.wait
        )
        self._since, self._rows = datetime.now(UTC), count_rows(setup.lab)
        self.signals.wait(min(STRANGERS_S, setup.times.baseline_s / 10))
        refuse_foreign_writes(self._rows, count_rows(setup.lab))
        self.start = take_digest(setup.lab)
        return self.start

    def baseline(self) -> dict[str, object]:
        """Let the lab work in health for a while."""
        setup = self.setup
        if setup.drill.services:
            setup.say(f"{', '.join(setup.drill.services)} run as this drill needs them.")
            dress(setup.lab, setup.drill.services)
        if setup.drill.load.per_s > 0:
            self._load = Load(
                setup.lab.api_url,
                per_s=setup.drill.load.per_s,
                ops=setup.drill.load.ops,
                seed=setup.load_seed,
                max_s=setup.load_max_s,
            )
            self._load.start()
        ready = wait_until(
            self._lacks_work,
            within_s=setup.times.first_work_s if self._load else 0.0,
            what="Waiting for the first finished rows",
            say=setup.say,
            pause=self.signals.wait,
        )
        if ready.lacking:
            raise Invalid(f"no work was done before the fault: {ready.lacking}")
        self.readings.start = read_meters(setup.lab)
        self._baseline_start = self.readings.start.at
        self._pass_time(setup.times.baseline_s + setup.drill.onset_s, "Healthy baseline")
        return {"from": iso(self._baseline_start), "to": iso(datetime.now(UTC))}

    def intend(self) -> dict[str, object]:
        """Choose the fault's id and say all that its revert needs."""
        real = self.setup.drill.fault.bind(self.setup.lab, fault_id=secrets.token_hex(8))
        self.fault = Checked(Noop(real) if self.setup.inject is Inject.NOOP else real)
        if self.setup.is_blind or not self.idle:
            self._keeper = Keeper()
            self._keeper.guard(self.setup.lab, self.fault.planned)
        return {"undo": self.fault.planned.as_json()}

    def apply(self) -> None:
        """Apply the fault."""
        assert self.fault is not None  # noqa: S101  (the order of `perform`)
        self.readings.before = read_meters(self.setup.lab)
        self._applied_at = datetime.now(UTC)
        self.fault.apply()
        self.setup.say(
            "Nothing is applied, this is a control." if self.idle else "The fault is applied."
        )

    @property
    def idle(self) -> bool:
        """Whether apply changes nothing: a placebo, or a drill without its injection."""
        return self.setup.inject is Inject.NOOP or isinstance(self.setup.drill.fault, Placebo)

    def renew(self) -> bool:
        """Prolong the fault's lease, or say to its keeper that we live; False when it is lost."""
        kept = self._keeper is None or self._keeper.beat()
        return kept and (self.fault is None or self.fault.renew())

    def verify(self) -> dict[str, object]:
        """Look for independent proof that it acts."""
        waited = wait_until(
            self._lacks_witness,
            within_s=WITNESS_WITHIN_S,
            what="Waiting for a witness",
            say=self.setup.say,
            pause=self.signals.wait,
        )
        return {"witness": list(self.witness), "seconds": round(waited.seconds, 3)}

    def observe(self, alarm: Alarm) -> None:
        """Let the fault stand, then ask the triage while it still does."""
        if not self.witness:
            raise Invalid("nothing witnesses that the fault acts")
        seconds = max(self.setup.times.fault_s, self.setup.drill.fault_s)
        self._pass_time(seconds, "The fault stands", alarm=alarm)
        self.readings.during = read_meters(self.setup.lab)
        self._ask_triage()
        raise_alarm(alarm)
        if self._lacks_witness():
            raise Invalid("the fault did not stand until the triage had answered")

    def revert(self) -> None:
        """Take the fault back; tried three times, since a busy lab may be slow to answer."""
        if self.fault is None:
            return
        for left in (2, 1, 0):
            try:
                self.fault.revert(self.fault.planned)
            except TriageError:
                if not left:
                    raise
                time.sleep(0.5)
            else:
                self.dismiss_keeper()
                return

    def dismiss_keeper(self, *, is_healed: bool = True) -> None:
        """End the keeper, which first takes back what is not healed; fine when there is none."""
        if self._keeper is not None:
            (self._keeper.dismiss if is_healed else self._keeper.leave)()
            self._keeper = None

    def settle(self) -> Finding:
        """Let the load go on for a moment, end it, wait for rest and compare."""
        setup = self.setup
        if self.readings.during and not self.signals.first:
            self._pass_time(setup.times.recovery_s, "Recovery under load")
        self.stop_load()
        rest = come_to_rest(setup, since=self._since, pause=self.signals.wait)
        self.readings.after, self.end = rest.reading, rest.digest
        self.notes += rest.notes
        self.findings += check_safely("drill.conservation", self._conserved)
        self.findings += check_safely(
            "drill.effects", lambda: (check_effects(setup.lab, since=self._since),)
        )
        return compare(setup, self.start, rest)

    def _conserved(self) -> tuple[Finding, ...]:
        if self._load is None:
            return ()
        counts, after = self._load.counts(), count_rows(self.setup.lab)
        made = self.fault.rows_made() if self.fault else {}
        return tuple(
            conserved(
                counts,
                Came(before=self._rows, after=after, projection=projection),
                made=made.get(projection, 0),
            )
            for projection in OUTBOX_TABLES
        )

    def stop_load(self) -> None:
        """End the load; fine when it never began. One that ended by itself is noted."""
        if self._load is not None:
            if not self._load.is_running and not self._load_stopped:
                self.load_ended = "the load ended before the drill did"
            self._load_stopped = True
            self._load.stop()

    def look(self) -> str:
        """Why to abort, for the abort evaluator; empty while all is well."""
        setup, budget = self.setup, self.setup.drill.budget
        # Here too: a clock that jumped and came back agrees again by the end.
        if jumped := self.clock.jump_until(ClockMark.now()):
            return jumped
        if not is_alive(setup.lab):
            return "the lab's supervisor died"
        failed = count_rows(setup.lab).total(FAILED) - self._rows.total(FAILED)
        if failed > budget.max_failed_rows:
            return f"{failed} rows failed for good, more than {budget.max_failed_rows}"
        return setup.abort_if()

    def expectations(self) -> tuple[Finding, ...]:
        """Judge the drill's expectations and the triage's answer; a check that throws is ERROR."""
        baseline, fault = self.readings.baseline(), self.readings.fault()
        if baseline is None or fault is None:
            return tuple(self.findings)
        observed = Observed(baseline=baseline, fault=fault)

        def cross() -> tuple[Finding, ...]:
            self.fits = fits(observed)
            return ()

        found = [*judge(self.setup.drill, observed), *check_safely("drill.cross", cross)]
        if self.answer is not None:
            found += grade(self.answer, self.setup.drill)
        return (*found, *self.findings)

    @contextmanager
    def phase(self, step: Step) -> Iterator[None]:
        """Measure one step."""
        at, start = datetime.now(UTC), time.monotonic()
        try:
            yield
        finally:
            seconds = round(time.monotonic() - start, 3)
            self.phases.append(Phase(name=step.value, at=iso(at), seconds=seconds))

    def _ask_triage(self) -> None:
        """Adjacent windows: all of the fault's so far, and as much health right before it."""
        now = datetime.now(UTC)
        window = Window(self._applied_at, now)
        healthy = min(now - self._applied_at, self._applied_at - self._baseline_start)
        baseline = window.before(max(healthy, timedelta(milliseconds=1)))
        self.setup.say("The triage is asked.")

        def ask() -> tuple[Finding, ...]:
            with self.signals.at_once():
                self.answer = self.setup.triage(window, baseline)
            return ()

        self.findings += check_safely("drill.triage", ask)

    def _lacks_work(self) -> str:
        if self._load is None:
            return "the load is off"
        done = count_rows(self.setup.lab).total("done") - self._rows.total("done")
        return "" if done >= LEAST_WORK else f"{done} rows finished"

    def _lacks_witness(self) -> str:
        evidence = self.fault.witness() if self.fault else None
        if evidence is None:
            return "nothing witnesses the fault"
        if evidence.says not in self.witness:
            self.witness.append(evidence.says)
        return ""

    def _pass_time(self, seconds: float, what: str, *, alarm: Alarm | None = None) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if alarm is not None:
                raise_alarm(alarm)
            self.setup.say(f"{what}: {left:.0f} s left.")
            until = time.monotonic() + min(left, SAY_EVERY_S)
            while (rest := until - time.monotonic()) > 0 and not (alarm and alarm.raised):
                self.signals.wait(min(rest, 0.25))
        if alarm is not None:
            raise_alarm(alarm)
