"""Pages of other origins: Starlette's middleware, with its refusals as problem documents."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from boonart_services.gateway import problems


class Origins(CORSMiddleware):
    """Says to browsers which origins may call, and refuses the others as everything else is refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            request = Request(scope)
            asks = {"origin", "access-control-request-method"} <= set(request.headers)
            if asks and (refused := self.preflight_response(request.headers)).status_code >= 400:
                detail = f"{bytes(refused.body).decode()}: this server does not allow it."
                own = {"content-length", "content-type"}
                headers = {name: value for name, value in refused.headers.items() if name not in own}
                await problems.problem(request, problems.HTTP_KINDS[400], detail, headers=headers)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
