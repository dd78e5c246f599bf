# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow carried on to the next pair: it moves with itself, its nearest piece fills a cell, what left is forgotten."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tried")

from animerun_addon.model_bridge.networks.correlation import cell_places  # noqa: E402
from animerun_addon.model_bridge.networks.warm_start import carried_on  # noqa: E402


def random_flow(height, width, spread, seed=0):
    return spread * torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed))


def constant_flow(x, y, height=6, width=9):
    return torch.tensor([x, y]).view(2, 1, 1).expand(2, height, width).clone()


def test_steady_flow_stays_as_it_is():
    flow = constant_flow(1.25, -0.5)
    torch.testing.assert_close(carried_on(flow), flow)


def test_a_lone_mover_is_met_where_it_went():
    flow = torch.zeros(2, 7, 9)
    flow[:, 2, 3] = torch.tensor([4.0, 2.0])
    carried = carried_on(flow)
    # It shares its new cell with the flow that rests there, and its old one is filled from beside.
    assert (carried[:, 2, 3] == 0).all()
    flow[:, 4, 7] = flow[:, 2, 3]
    assert carried_on(flow)[:, 4, 7].tolist() == [4.0, 2.0]


def test_flow_back_in_time_moves_against_itself():
    flow = torch.zeros(2, 5, 12)
    flow[0, :, 6:] = -3.0  # what is on the right lay 3 cells to the left of there, and goes on to the right
    carried = carried_on(flow, sign=-1)
    assert (carried[0, :, 9:] == -3).all()
    assert (carried[0, :, :6] == 0).all()


def test_nothing_is_known_after_all_has_left():
    assert (carried_on(constant_flow(100.0, 0.0)) == 0).all()


@pytest.mark.parametrize("spread", [0.3, 3.0, 12.0])
@pytest.mark.parametrize("size", [(8, 8), (17, 30)])
def test_each_cell_takes_the_nearest_of_all_that_landed(size, spread):
    flow = random_flow(*size, spread)
    height, width = size
    places = cell_places(flow).flatten(1).T
    landed = places + flow.flatten(1).T
    stays = ((landed > 0) & (landed < torch.tensor([width, height]))).all(1)
    distances = torch.cdist(places, landed[stays], compute_mode="donot_use_mm_for_euclid_dist")
    carried = carried_on(flow).flatten(1).T
    pieces = flow.flatten(1).T[stays]
    for cell, found in enumerate(carried):
        nearest = distances[cell].min()
        taken = (pieces == found).all(1).nonzero()[:, 0]
        assert distances[cell, taken].min() <= nearest + 1e-4


def test_one_that_is_near_along_a_row_wins_against_one_further_off_on_a_diagonal():
    flow = constant_flow(100.0, 100.0, 11, 11)
    flow[:, 7, 7] = torch.tensor([0.4, 0.4])  # 2.4 cells to the right and down of (5, 5)
    flow[:, 5, 2] = torch.tensor([0.4, 0.0])  # 2.6 cells to its left
    assert carried_on(flow)[1, 5, 5] == 0


def test_one_that_went_all_the_way_fills_everything():
    flow = constant_flow(50.0, 50.0, 40, 40)
    flow[:, 0, 0] = 0.5
    assert (carried_on(flow) == 0.5).all()
