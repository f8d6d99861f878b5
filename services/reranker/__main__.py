"""`python -m boonart_services.reranker`."""

import sys

from boonart_services.reranker.main import main

if __name__ == "__main__":
    sys.exit(main())
