# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeding networks that are trained: pairs of frames as torch tensors. How pictures and flow change is numpy alone."""
