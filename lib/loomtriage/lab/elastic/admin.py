"""Elastic admin: how a drill reads and changes the limits of the stand-in."""

from __future__ import annotations

import hmac

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loomtriage.lab.elastic.limits import LeaseOrder, Limits
from loomtriage.lab.elastic.pool import WritePool
from loomtriage.lab.serving import TOKEN_HEADER


class LimitsAdmin:
    """The calls below `/_lab/limits`; a token, when given, is asked for by those that change."""

    def __init__(self, pool: WritePool, token: str) -> None:
        self._pool = pool
        self._token = token.encode()

    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/_lab/limits", self.show, methods=["GET"]),
            Route("/_lab/limits", self.change, methods=["PUT"]),
            Route("/_lab/limits/lease", self.lend, methods=["PUT"]),
            Route("/_lab/limits/lease/{id}", self.end, methods=["DELETE"]),
        ]

    async def show(self, _request: Request) -> Response:
        """The limits that hold now."""
        return self._shown()

    async def change(self, request: Request) -> Response:
        """Change some limits for good."""
        if not self._is_allowed(request):
            return _refused()
        try:
            changes = await request.json()
            self._pool.set_limits(Limits.model_validate({**self._base(), **changes}))
        except (ValueError, TypeError) as error:
            return _senseless(error)
        return self._shown()

    async def lend(self, request: Request) -> Response:
        """Change some limits until a lease ends; again with the same id prolongs it."""
        if not self._is_allowed(request):
            return _refused()
        try:
            order = LeaseOrder.model_validate_json(await request.body())
            limits = Limits.model_validate({**self._base(), **order.limits})
        except ValidationError as error:
            return _senseless(error)
        try:
            self._pool.lend(order.id, limits, lease_s=order.lease_s)
        except ValueError as error:
            return JSONResponse({"error": str(error), "status": 409}, 409)
        return self._shown()

    async def end(self, request: Request) -> Response:
        """Take the limits of a lease back, whether or not it lasts."""
        if not self._is_allowed(request):
            return _refused()
        self._pool.end_lease(request.path_params["id"])
        return self._shown()

    def _base(self) -> dict[str, object]:
        return self._pool.base_limits.model_dump()

    def _shown(self) -> Response:
        lease = self._pool.lease
        return JSONResponse(
            {
                **self._pool.limits.model_dump(),
                "completed": self._pool.completed,
                "lease": None if lease is None else lease.id,
            }
        )

    def _is_allowed(self, request: Request) -> bool:
        given = request.headers.get(TOKEN_HEADER, "").encode()
        return not self._token or hmac.compare_digest(given, self._token)


def _refused() -> Response:
    return JSONResponse({"error": "the lab token is missing or wrong"}, 403)


def _senseless(error: Exception) -> Response:
    says = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        says = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return JSONResponse({"error": says, "status": 400}, 400)
