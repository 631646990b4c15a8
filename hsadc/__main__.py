"""`python -m hsadc` is `hsadc`."""

from __future__ import annotations

import sys

from hsadc.cli.main import main

sys.exit(main())
