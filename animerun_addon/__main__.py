# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m animerun_addon ...` is `animerun ...`."""

import sys

from .cli import main

sys.exit(main())
