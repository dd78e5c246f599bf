# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in pieces covers everything once, passes errors on, and cannot wait for itself."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from animerun_addon.labels.chunks import in_chunks, in_rows


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
def test_every_place_is_worked_on_once(count):
    visits = np.zeros(count, dtype=int)

    def work(part):
        visits[part] += 1

    in_chunks(count, work, chunk=7)
    assert (visits == 1).all()


def test_rows_of_a_picture_wider_than_a_chunk_are_worked_on_one_by_one():
    parts = []
    in_rows((3, 1 << 20), parts.append)
    assert sorted(parts, key=lambda part: part.start) == [slice(0, 1), slice(1, 2), slice(2, 3)]


def test_an_error_in_a_piece_is_an_error_of_the_call():
    def work(part):
        raise ValueError(part.start)

    with pytest.raises(ValueError, match=r"^\d+$"):
        in_chunks(100, work, chunk=1)


def test_work_may_have_pieces_of_its_own():
    done = np.zeros((50, 50), dtype=int)

    def outer(rows):
        def inner(columns):
            done[rows, columns] += 1

        in_chunks(50, inner, chunk=1)

    thread = threading.Thread(target=in_chunks, args=(50, outer, 1), daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert (done == 1).all()
