"""`python -m boonart_services.gateway`: the gateway as a process of its own, with REST, the page and gRPC."""

from __future__ import annotations

import logging
import signal
import sys

from boonart.errors import BoonArtError, ConfigurationError
from boonart.observability import configure_logging, configure_tracing
from boonart.settings import read_settings_as
from boonart_services.gateway.main import serve
from boonart_services.gateway.settings import GatewaySettings

logger = logging.getLogger("boonart_services.gateway")


def main() -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        The exit status: 0 after a stop that was asked for, 1 where it cannot serve, 2 for settings that cannot be used.
    """
    # The server stops in order and then passes the signal on, which must not end the process before its last spans
    # are sent.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = read_settings_as(GatewaySettings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging("boonart-gateway", settings.log_level)
    stop_tracing = configure_tracing("boonart-gateway", settings.otlp_endpoint)
    try:
        serve(settings, serving=settings, announce=lambda url: logger.info("ready at %s", url))
    except BoonArtError as error:
        logger.error("cannot serve: %s", error)
        return 1
    except Exception:
        logger.exception("cannot serve")
        return 1
    finally:
        stop_tracing()
    return 0


if __name__ == "__main__":
    sys.exit(main())
