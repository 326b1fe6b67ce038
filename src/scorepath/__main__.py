"""`python -m scorepath`: the command `scorepath` of this Python."""

import sys

from scorepath.cli.main import main

sys.exit(main())
