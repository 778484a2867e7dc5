"""``python -m multiproxy``."""

import sys

from multiproxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
