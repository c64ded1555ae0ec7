"""python -m calibtool."""

import sys

from calibtool.cli import main

sys.exit(main())
