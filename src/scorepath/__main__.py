"""`python -m scorepath`: the command `scorepath` of this Python."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the folder of a study holds no modules, by whichever name this is called

from scorepath.cli.main import main

sys.exit(main())
