# SPDX-License-Identifier: GPL-3.0-or-later
"""One thin class a button: check, start a job, report."""
