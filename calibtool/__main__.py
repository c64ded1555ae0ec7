"""python -m calibtool."""

import sys

from calibtool.cli.main import main

sys.exit(main())
