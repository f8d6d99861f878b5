"""API keys at the gRPC door: the same rules as over REST."""

from __future__ import annotations

from typing import Any

import grpc

from boonart.keys import Scope
from boonart_services.gateway.access import Rules, bearer


class GrpcAccess:
    """Lets calls through whose key, or address, allows them, as often as is allowed.

    Args:
        anonymous: what may be done without a key, or None for nothing.
        has_token: the server has a token file: its token is what `authorization` carries, and opens everything.
    """

    def __init__(self, rules: Rules, anonymous: Scope | None, *, has_token: bool = False) -> None:
        self._rules = rules
        self._anonymous = anonymous
        self._has_token = has_token

    def admit(self, context: grpc.aio.ServicerContext[Any, Any], needed: Scope) -> str:
        """Refuse a call that is not allowed; who the caller is, "" with the token.

        Raises:
            Unauthenticated: no key, or one that is not valid.
            Forbidden: the key does not have the scope.
            RateLimited: too many calls.
        """
        metadata: Any = context.invocation_metadata() or ()
        headers = {key: value for key, value in metadata if isinstance(value, str)}
        given = headers.get("x-api-key", "").strip()
        if not given and self._has_token:
            return ""
        given = given or bearer(headers.get("authorization", ""))
        # "ipv4:127.0.0.1:50123" without the port, which is another one for each connection.
        address = str(context.peer()).rpartition(":")[0]
        allowance = self._rules.admit(given, needed, self._anonymous, address)
        allowance.check()
        return allowance.caller
