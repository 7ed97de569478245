"""``python -m landcover_pnp`` is the command ``landcover``."""

import sys

from landcover_pnp.cli import main

if __name__ == "__main__":
    sys.exit(main())
