"""Fleet: all services of one lab, and every change that is made to them.

Nothing is restarted in silence: a service that dies stays dead until somebody orders otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab.servers import prometheus
from loomtriage.lab.services import write_services
from loomtriage.lab.supervisor.children import Child
from loomtriage.lab.supervisor.lifetime import DECLARED, Service
from loomtriage.lab.supervisor.plan import Plan
from loomtriage.lab.supervisor.processes import Guard

_log = logging.getLogger(__name__)


class Fleet:
    """The services by name, in the order in which they start.

    Args:
        plan: of the lab.
        children: the table of its services.
        guard: hears of every process.
    """

    def __init__(self, plan: Plan, *, children: Iterable[Child], guard: Guard) -> None:
        self._root = plan.root
        self._services = {
            child.name: Service(child, folder=plan.root, guard=guard) for child in children
        }

    @property
    def services(self) -> tuple[Service, ...]:
        """All of them, the spare ones too."""
        return tuple(self._services.values())

    @property
    def is_starting(self) -> bool:
        """Whether one of them does not answer yet."""
        return any(service.state == "starting" for service in self.services)

    def advance(self, on_ready: Callable[[str], None]) -> tuple[str, ...]:
        """Start what can start, ask what has started; names of those that are not ready.

        Raises:
            TriageError: one of them ended, or could not be furnished.
        """
        for name, service in self._services.items():
            match service.state:
                case "waiting" if self._are_ready(service.child.after):
                    service.start()
                    self.write_down()
                case "starting" if service.became_ready():
                    self.write_down()
                    on_ready(name)
                case "ready":
                    service.must_live()
        return tuple(
            name
            for name, service in self._services.items()
            if not service.child.is_spare and service.state != "ready"
        )

    def _are_ready(self, names: tuple[str, ...]) -> bool:
        return all(self._services[name].state == "ready" for name in names)

    def watch(self) -> None:
        """Notice which services died, and which of those started by order answer by now."""
        for service in self.services:
            before = service.state
            try:
                if not service.died() and service.state == "starting":
                    service.became_ready()
            except TriageError as failure:
                _log.warning("%s", failure)
            if service.state != before:
                _log.info("%s is %s: %s", service.child.name, service.state, service.status().says)
                self.write_down()

    def start(self, name: str, env: Mapping[str, str]) -> None:
        """Let a service run with these variables beside its declared ones.

        One that runs with just them goes on undisturbed; another's process is replaced.

        Raises:
            UsageError: there is no such service.
            StartFailed: there is no such program.
        """
        service = self._named(name)
        if not service.died() and service.is_running and service.overrides == env:
            return
        self.restart(name, env)

    def restart(self, name: str, env: Mapping[str, str]) -> None:
        """End a service if it runs, and start it with these variables beside its declared ones.

        Raises:
            UsageError: there is no such service.
            StartFailed: there is no such program.
        """
        service = self._named(name)
        self._end(service)
        try:
            service.start(env)
            if service.child.scraped:
                prometheus.show_target(self._root, name, text=service.child.scraped)
        finally:
            self.write_down()
        _log.info("%s is started by order", name)

    def stop(self, name: str) -> None:
        """End a service; nothing happens to one that does not run.

        Raises:
            UsageError: there is no such service.
        """
        self._end(self._named(name))
        self.write_down()

    def reset(self) -> tuple[str, ...]:
        """Bring every service back to what its table entry says; those that had to be changed.

        Raises:
            StartFailed: there is no such program.
        """
        changed = []
        for name, service in self._services.items():
            service.died()
            service.wake()
            if service.child.is_spare:
                is_astray = service.state != "off"
            else:
                is_astray = not service.is_running or service.overrides != DECLARED
            if not is_astray:
                continue
            changed.append(name)
            if service.child.is_spare:
                self._end(service)
                service.state, service.overrides = "off", DECLARED
            else:
                self.restart(name, DECLARED)
        self.write_down()
        return tuple(changed)

    def _end(self, service: Service) -> None:
        prometheus.hide_target(self._root, service.child.name)
        if service.is_running:
            service.end()
            _log.info("%s: %s", service.child.name, service.status().says)

    def end_all(self) -> None:
        """End every service, the last started first."""
        for service in reversed(self.services):
            self._end(service)
        self.write_down()

    def write_down(self) -> None:
        """Write down how the services are; a spare one that nobody started is not mentioned."""
        shown = [service.status() for service in self.services if service.state != "off"]
        write_services(self._root, shown)

    def _named(self, name: str) -> Service:
        service = self._services.get(name)
        if service is None:
            raise UsageError(
                f"The lab has no service {name[:40]!r}.",
                hint=f"It has {', '.join(self._services)}.",
            )
        return service
