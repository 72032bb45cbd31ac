"""Proxy admin: how drills apply, renew, witness and take back faults."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loomtriage.lab.proxy.desk import Desk, moment
from loomtriage.lab.proxy.fault_book import (
    MAX_LEASE_S,
    WRITES,
    Fault,
    FaultState,
    Kind,
    Moment,
    Rule,
)
from loomtriage.lab.serving import TOKEN_HEADER, Guard

_BODY_CAP_BYTES = 64 * 1024

LeaseSeconds = Annotated[float, Field(gt=0, le=MAX_LEASE_S, allow_inf_nan=False)]


class LeaseOrder(BaseModel):
    """Body of `PUT /faults/{id}/lease`."""

    model_config = ConfigDict(extra="forbid")

    lease_s: LeaseSeconds


class FaultOrder(LeaseOrder):
    """Body of `POST /faults`; `status` and what follows belong to `answer` only."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    kind: Kind
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: int = 0
    retry_after_s: Annotated[int, Field(ge=0, le=3600)] | None = None
    methods: tuple[Literal["GET", "HEAD", "PUT", "POST", "DELETE"], ...] | None = None
    path: Annotated[str, Field(max_length=500)] = "*"

    @model_validator(mode="after")
    def _fits_kind(self) -> FaultOrder:
        extra = self.model_fields_set - {"id", "kind", "lease_s"}
        if self.kind is Kind.REFUSE and extra:
            raise ValueError(f"refuse takes no {', '.join(sorted(extra))}")
        if self.kind is Kind.ANSWER and self.status is None:
            raise ValueError("answer needs a status")
        if self.ratio is not None and "every" in self.model_fields_set:
            raise ValueError("give every or ratio, not both")
        return self

    def fault(self, now: Moment) -> Fault:
        """The fault that is ordered."""
        return Fault(
            id=self.id,
            kind=self.kind,
            rule=self._rule(),
            expires_at_s=now.clock_s + self.lease_s,
            since=now.utc,
        )

    def _rule(self) -> Rule | None:
        if self.status is None:
            return None
        return Rule(
            status=self.status,
            every=self.every,
            ratio=self.ratio,
            seed=self.seed,
            retry_after_s=self.retry_after_s,
            methods=WRITES if self.methods is None else self.methods,
            path=self.path,
        )


def admin_app(desk: Desk, token: str) -> Starlette:
    """The admin application; every mutating call needs the token."""
    admin = _Admin(desk, token)
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
    """The admin calls over one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
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
        self._desk.settle()
        book, traffic = self._desk.book, self._desk.gate.traffic
        now_s = moment().clock_s
        return JSONResponse(
            {
                "lab_id": self._desk.lab_id,
                "listening": self._desk.port.listening,
                "faults": [_show(f, FaultState.ACTIVE, now_s) for f in book.active.values()],
                "healed": [
                    {
                        **_show(healed.fault, FaultState.EXPIRED, now_s),
                        "healed_at": healed.at.utc.isoformat(),
                    }
                    for healed in book.healed.values()
                ],
                "requests": {
                    "total": traffic.requests,
                    "answered": traffic.answered,
                    "unanswered": traffic.unanswered,
                    "passed_by_status": {str(k): n for k, n in sorted(traffic.passed.items())},
                },
            }
        )

    async def apply(self, request: Request) -> Response:
        now = moment()
        fault = FaultOrder.model_validate_json(await request.body()).fault(now)
        try:
            self._desk.book = self._desk.book.apply(fault, now)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 409)
        self._desk.settle()
        await self._desk.probe()
        applied = self._desk.book.active.get(fault.id, fault)
        return JSONResponse(_show(applied, FaultState.ACTIVE, now.clock_s), 201)

    async def renew(self, request: Request) -> Response:
        fault_id = request.path_params["id"]
        order = LeaseOrder.model_validate_json(await request.body())
        now = moment()
        self._desk.book = self._desk.book.renew(fault_id, order.lease_s, now=now)
        fault = self._desk.book.active.get(fault_id)
        if fault is None:
            state = self._desk.book.state_of(fault_id)
            return JSONResponse({"error": "no such active fault", "state": state.value}, 404)
        return JSONResponse(_show(fault, FaultState.ACTIVE, now.clock_s))

    async def delete(self, request: Request) -> Response:
        fault_id, now = request.path_params["id"], moment()
        self._desk.settle()
        fault = self._desk.book.active.get(fault_id)
        self._desk.book = self._desk.book.delete(fault_id, now)
        self._desk.settle()
        if fault is not None:
            return JSONResponse(_show(fault, FaultState.DELETED, now.clock_s))
        healed = self._desk.book.healed.get(fault_id)
        if healed is not None:
            return JSONResponse(_show(healed.fault, FaultState.EXPIRED, now.clock_s))
        return JSONResponse({"id": fault_id, "state": FaultState.ABSENT.value, "acted": 0})


def _show(fault: Fault, state: FaultState, now_s: float) -> Mapping[str, object]:
    shown: dict[str, object] = {
        "id": fault.id,
        "kind": fault.kind.value,
        "state": state.value,
        "expires_in_s": round(max(0.0, fault.expires_at_s - now_s), 3),
        "since": fault.since.isoformat(),
        "acted": fault.acted,
    }
    if fault.rule is None:
        return {**shown, "aborted": fault.aborted, "probes_refused": fault.probes_refused}
    return {**shown, "seen": fault.seen, **asdict(fault.rule)}
