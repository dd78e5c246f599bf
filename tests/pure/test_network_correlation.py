# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup of likenesses: what the published formulation samples point by point, stored or computed on demand."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tried")

from animerun_addon.model_bridge.networks import correlation  # noqa: E402
from animerun_addon.model_bridge.networks.correlation import Correlation, cell_places  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import flow_literal  # noqa: E402

SIZE = (17, 21)  # four sizes, odd ones among them; the published formulation needs two cells a side


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def features(size=SIZE, batch=2, channels=16):
    return torch.randn(2, batch, channels, *size, generator=torch.Generator().manual_seed(5))


def wandering_places(like, spread):
    random = torch.Generator().manual_seed(6)
    return cell_places(like) + spread * torch.randn(like.shape[0], 2, *like.shape[-2:], generator=random)


@pytest.mark.parametrize("most_bytes", [1 << 30, 300_000, 0], ids=["stored", "mixed", "on demand"])
@pytest.mark.parametrize("radius", [3, 4])
@pytest.mark.parametrize("spread", [0.0, 1.0, 12.0], ids=["on cells", "near", "also beyond the frame"])
def test_it_is_the_published_one(most_bytes, radius, spread):
    here, there = features()
    places = wandering_places(here, spread)
    places[0, :, 4, 4] = torch.tensor([700.0, -3000.0])
    expected = flow_literal.looked_up(flow_literal.pyramid(here, there), places, radius)
    found = Correlation(here, there, radius, most_bytes=most_bytes)(places)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gathering_features_gives_the_same(monkeypatch):
    here, there = features()
    places = wandering_places(here, 2.0)
    expected = Correlation(here, there)(places)
    monkeypatch.setattr(correlation, "_sampled_products", correlation._gathered_products)
    monkeypatch.setattr(correlation, "_WINDOWS_AT_ONCE", 100)
    torch.testing.assert_close(Correlation(here, there, most_bytes=0)(places), expected, rtol=1e-4, atol=1e-4)


def test_a_size_of_one_cell_is_looked_up_too():
    # The published formulation divides by zero there.
    here, there = features(size=(8, 8))
    found = Correlation(here, there)(cell_places(here).expand(2, -1, -1, -1))
    coarsest = found[:, -81:].view(2, 9, 9, 8, 8)
    mean = there.mean((2, 3))
    expected = torch.einsum("nchw,nc->nhw", here, mean) / here.shape[1] ** 0.5
    torch.testing.assert_close(coarsest[:, 4, 4, 0, 0], expected[:, 0, 0])
    assert found.isfinite().all()


def test_a_flow_gone_wrong_spoils_its_own_cell_only():
    here, there = features()
    places = wandering_places(here, 1.0)
    expected = Correlation(here, there)(places)
    places[1, :, 5, 6] = float("nan")
    found = Correlation(here, there)(places)
    spoilt = found.isnan().any(1)
    assert spoilt.nonzero().tolist() == [[1, 5, 6]]
    assert torch.equal(found.movedim(1, -1)[~spoilt], expected.movedim(1, -1)[~spoilt])


def test_channels_are_last_in_memory():
    here, there = features()
    found = Correlation(here, there)(wandering_places(here, 1.0))
    assert found.is_contiguous(memory_format=torch.channels_last)
