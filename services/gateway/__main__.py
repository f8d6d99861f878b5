"""`python -m boonart_services.gateway`: the gateway as a process of its own."""

import logging
import sys

from boonart.errors import BoonArtError
from boonart.settings import read_settings
from boonart_services.gateway.main import serve


def main() -> int:
    """Serve with the settings of the environment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        serve(read_settings(), announce=lambda url: logging.getLogger(__name__).info("ready at %s", url))
    except BoonArtError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
