"""Started by a client as a worker: `python -P __main__.py DIRECTORY_OF_PP`."""

import sys

# Where the client found `pp`; its whole path follows with the settings.
sys.path.insert(0, sys.argv.pop())

from pp._core import undertake

if not undertake():
    from pp._worker.main import main

    main()
