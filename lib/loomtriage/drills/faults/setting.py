"""Setting faults: how does the index refuse writes, by a setting of its own?

It is set at Elasticsearch itself, past worker and proxy. A setting has no lease; the drill's
keeper takes it back when the runner is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo
from loomtriage.drills.faults.http import NO_DOCUMENT
from loomtriage.drills.loopback import ask
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import SourceUnavailable
from loomtriage.lab.state import INDEX
from loomtriage.model import Evidence

if TYPE_CHECKING:
    import httpx

    from loomtriage.lab.state import LabState

KIND = "index_setting"
BLOCKS = ("index.blocks.write", "index.blocks.read_only", "index.blocks.read_only_allow_delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFault:
    """An index setting with another value than before."""

    lab: LabState
    planned: Undo
    name: str
    value: str
    status: int

    def apply(self) -> Undo:
        """Set it."""
        put_setting(self.lab, self.name, self.value)
        return self.planned

    def witness(self) -> Evidence | None:
        """A harmless delete of our own is refused by Elasticsearch itself."""
        met = ask("DELETE", self.lab.elastic_direct_url + NO_DOCUMENT).status_code
        if met != self.status:
            return None
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.lab.ports['elastic_direct']}",
            says=f"A write of our own, past worker and proxy, was refused with status {met}.",
        )

    def revert(self, undo: Undo) -> None:
        """Give it the value it had."""
        put_setting(self.lab, undo.detail["name"], undo.detail["before"] or None)

    def is_active(self) -> bool:
        """Whether it has another value than before."""
        return read_setting(self.lab, self.name) != self.planned.detail["before"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSetting:
    """An index setting is changed, such as a write block.

    Attributes:
        name, value: the setting, dotted.
        status: what a write meets while it stands.
    """

    name: str = "index.blocks.write"
    value: str = "true"
    status: int = 403
    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """The index, while no worker has made it."""
        return "" if ask("GET", f"{lab.elastic_direct_url}/{INDEX}").is_success else "its index"

    def bind(self, lab: LabState, *, fault_id: str) -> SettingFault:
        """The fault on that lab, after a look at the value it has now."""
        detail = {"name": self.name, "before": read_setting(lab, self.name)}
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id, detail=detail)
        return SettingFault(
            lab=lab, planned=undo, name=self.name, value=self.value, status=self.status
        )


def read_setting(lab: LabState, name: str) -> str:
    """Value of an index setting, empty when it is not set or the index is not there.

    Raises:
        SourceUnavailable: Elasticsearch does not answer.
    """
    response = ask("GET", f"{lab.elastic_direct_url}/{INDEX}/_settings")
    if not response.is_success:
        return ""
    found: object = response.json().get(INDEX, {}).get("settings", {})
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def put_setting(lab: LabState, name: str, value: str | None) -> None:
    """Set an index setting; None resets it. Fine when there is no index to reset it on."""
    response = ask("PUT", f"{lab.elastic_direct_url}/{INDEX}/_settings", body={name: value})
    if value is not None or response.status_code != 404:
        _demand(response)


def _demand(response: httpx.Response) -> None:
    if not response.is_success:
        raise SourceUnavailable(
            f"Elasticsearch answered status {response.status_code} to a change of its settings.",
            hint="Look at the log of elastic below the lab's folder.",
        )


def _standing(lab: LabState) -> tuple[str, ...]:
    return tuple(name for name in BLOCKS if read_setting(lab, name) == "true")


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = _standing(lab)
    for name in found:
        put_setting(lab, name, None)
    return found


RECOVERY = Recovery(
    kinds=(KIND,),
    revert=lambda lab, undo: put_setting(lab, undo.detail["name"], undo.detail["before"] or None),
    standing=_standing,
    sweep=_sweep,
)
