# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m animerun_addon ...` is `animerun ...`."""

from .cli import run

run()
