"""Proxy admin: how drills apply, renew, witness and take back faults."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loomtriage.lab.proxy.desk import Desk, moment
from loomtriage.lab.proxy.fault_book import Fault, FaultState, Kind
from loomtriage.lab.proxy.gate import Traffic
from loomtriage.lab.proxy.orders import FaultOrder, LeaseOrder
from loomtriage.lab.serving import TOKEN_HEADER, Guard

_BODY_CAP_BYTES = 64 * 1024


def admin_app(desks: Iterable[Desk], *, lab_id: str, token: str) -> Starlette:
    """The admin application; every mutating call needs the token.

    Args:
        desks: one for each target, the one that is meant without a name first.
        lab_id: of the lab, so that nobody drills another one.
    """
    admin = _Admin({desk.target: desk for desk in desks}, lab_id=lab_id, token=token)
    return Starlette(
        routes=[
            Route("/healthz", admin.healthz),
            Route("/faults", admin.show, methods=["GET"]),
            Route("/faults", admin.guarded(admin.apply), methods=["POST"]),
            Route("/faults/{id}/lease", admin.guarded(admin.renew), methods=["PUT"]),
            Route("/faults/{id}", admin.guarded(admin.delete), methods=["DELETE"]),
        ],
        middleware=[Middleware(Guard, cap_bytes=_BODY_CAP_BYTES)],
        exception_handlers={HTTPException: _on_http_exception},
    )


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"error": str(getattr(error, "detail", error))}, status)


class _Admin:
    """The admin calls over the desks of all targets."""

    def __init__(self, desks: Mapping[str, Desk], *, lab_id: str, token: str) -> None:
        self._desks = desks
        self._lab_id = lab_id
        self._token = token.encode()

    def guarded(
        self, call: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The call behind the token."""

        async def endpoint(request: Request) -> Response:
            given = request.headers.get(TOKEN_HEADER, "").encode()
            if not hmac.compare_digest(given, self._token):
                return JSONResponse({"error": "the lab token is missing or wrong"}, 403)
            try:
                return await call(request)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                return JSONResponse({"error": f"{where}: {first['msg']}".lstrip(": ")}, 400)

        return endpoint

    async def healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def show(self, _request: Request) -> Response:
        self._settle()
        now_s, first = moment().clock_s, next(iter(self._desks.values()))
        return JSONResponse(
            {
                "lab_id": self._lab_id,
                "listening": all(desk.port.listening for desk in self._desks.values()),
                "faults": [
                    _show(fault, FaultState.ACTIVE, now_s, target=desk.target)
                    for desk in self._desks.values()
                    for fault in desk.book.active.values()
                ],
                "healed": [
                    {
                        **_show(healed.fault, FaultState.EXPIRED, now_s, target=desk.target),
                        "healed_at": healed.at.utc.isoformat(),
                    }
                    for desk in self._desks.values()
                    for healed in desk.book.healed.values()
                ],
                "requests": _counts(first.gate.traffic),
                "targets": {
                    name: {
                        "listening": desk.port.listening,
                        "requests": _counts(desk.gate.traffic),
                    }
                    for name, desk in self._desks.items()
                },
            }
        )

    async def apply(self, request: Request) -> Response:
        now = moment()
        order = FaultOrder.model_validate_json(await request.body())
        desk, fault = self._desks.get(order.target), order.fault(now)
        if desk is None:
            return JSONResponse({"error": f"target: one of {', '.join(self._desks)}"}, 400)
        self._settle()
        if any(fault.id in other.book.active for other in self._others(desk)):
            return JSONResponse({"error": f"another target has a fault {fault.id}"}, 409)
        try:
            desk.book = desk.book.apply(fault, now)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 409)
        desk.settle()
        await desk.probe()
        applied = desk.book.active.get(fault.id, fault)
        shown = _show(applied, FaultState.ACTIVE, now.clock_s, target=desk.target)
        return JSONResponse(shown, 201)

    async def renew(self, request: Request) -> Response:
        desk, fault_id = self._desk_of(request), request.path_params["id"]
        order = LeaseOrder.model_validate_json(await request.body())
        now = moment()
        desk.book = desk.book.renew(fault_id, order.lease_s, now=now)
        fault = desk.book.active.get(fault_id)
        if fault is None:
            state = desk.book.state_of(fault_id)
            return JSONResponse({"error": "no such active fault", "state": state.value}, 404)
        return JSONResponse(_show(fault, FaultState.ACTIVE, now.clock_s, target=desk.target))

    async def delete(self, request: Request) -> Response:
        self._settle()
        desk, fault_id, now = self._desk_of(request), request.path_params["id"], moment()
        fault = desk.book.active.get(fault_id)
        desk.book = desk.book.delete(fault_id, now)
        desk.settle()
        state = FaultState.DELETED
        if fault is None and fault_id in desk.book.healed:
            fault, state = desk.book.healed[fault_id].fault, FaultState.EXPIRED
        if fault is not None:
            return JSONResponse(_show(fault, state, now.clock_s, target=desk.target))
        return JSONResponse({"id": fault_id, "state": FaultState.ABSENT.value, "acted": 0})

    def _settle(self) -> None:
        for desk in self._desks.values():
            desk.settle()

    def _others(self, desk: Desk) -> Iterable[Desk]:
        return (other for other in self._desks.values() if other is not desk)

    def _desk_of(self, request: Request) -> Desk:
        """The desk that knows the fault of a request; the first when none does."""
        desks, fault_id = tuple(self._desks.values()), request.path_params["id"]
        for known in ("active", "healed"):
            for desk in desks:
                if fault_id in getattr(desk.book, known):
                    return desk
        return desks[0]


def _counts(traffic: Traffic) -> Mapping[str, object]:
    return {
        "total": traffic.requests,
        "answered": traffic.answered,
        "unanswered": traffic.unanswered,
        "passed_by_status": {str(k): n for k, n in sorted(traffic.passed.items())},
    }


def _show(fault: Fault, state: FaultState, now_s: float, *, target: str) -> Mapping[str, object]:
    shown: dict[str, object] = {
        "id": fault.id,
        "kind": fault.kind.value,
        "target": target,
        "state": state.value,
        "expires_in_s": round(max(0.0, fault.expires_at_s - now_s), 3),
        "since": fault.since.isoformat(),
        "acted": fault.acted,
    }
    if fault.rule is None:
        return {**shown, "aborted": fault.aborted, "probes_refused": fault.probes_refused}
    if fault.kind is Kind.CUT:
        shown["cut_after_success"] = fault.cut_after_success
    return {**shown, "seen": fault.seen, **asdict(fault.rule)}
