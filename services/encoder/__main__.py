"""`python -m boonart_services.encoder`."""

import sys

from boonart_services.encoder.main import main

if __name__ == "__main__":
    sys.exit(main())
