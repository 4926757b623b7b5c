"""`python -m pp._daemon` is the command `ppserver`."""

import sys

from pp._daemon.main import main

sys.exit(main())
