# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs: each joins what the other rooms make into one piece of work with progress and cancel."""
