"""`python -m pp` is the command `pp`."""

import sys

from pp._cli.main import main

sys.exit(main())
