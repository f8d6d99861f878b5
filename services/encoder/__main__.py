"""`python -m boonart_services.encoder`."""

import os
import sys

if __name__ == "__main__":
    # Before PyTorch is loaded, see boonart.all_cores: a service shares its machine with others, who need the cores on
    # which its threads would wait awake. One query alone takes a third longer so, 32 at once get through faster.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from boonart_services.encoder.main import main

    sys.exit(main())
