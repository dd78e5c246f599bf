# SPDX-License-Identifier: GPL-3.0-or-later
"""What the N-panel draws. Reads state, never changes it, and imports no pipeline."""
