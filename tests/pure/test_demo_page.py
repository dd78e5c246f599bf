# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's page as text: well-formed, complete, and safe with any file name."""

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from animerun_addon.frame_range import spread
from animerun_addon.pipeline.demo_page import Comparison, Gallery, Picture, Poses, Row, Sheet, Verdict, page_html


class Checker(HTMLParser):
    """Collects pictures, links and texts, and sees to it that every element is closed."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self):
        super().__init__()
        self.open, self.images, self.links, self.ids = [], [], [], []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "img":
            assert attributes["alt"]
            self.images.append(unquote(attributes["src"]))
        if tag == "a":
            self.links.append(unquote(attributes["href"]))
        if "id" in attributes:
            self.ids.append(unquote(attributes["id"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def check(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open
    assert len(set(checker.ids)) == len(checker.ids)
    return checker


FILM = tuple(f"dataset/{frame:04}.png" for frame in range(1, 49))
GOOD = Verdict(True, "Passes", (Row("Warp error", "0.004", "0.006", "0.01"),))


def picture(file):
    return Picture(file, "Flow", f"text of {file}", f"alt of {file}")


POSES = Poses(
    tuple(picture(f"udp/colour/{place}.png") for place in range(3)),
    tuple(picture(f"udp/pictures/{place}.png") for place in range(3)),
    picture("udp/sheet.png"),
    "A-pose, 46 degrees",
    "udp/AR Heroine/",
)


def sheet(frame):
    return Sheet(frame, (picture(f"{frame}_a.png"), picture(f"{frame}_b.png")), (picture(f"{frame}_c.png"),))


COMPARED = Comparison((picture("exact.png"), picture("classical.png")), "0.8 px off & more")


def page(film=FILM, frames=("0002", "0047"), sheet=sheet, verdict=GOOD, blend="demo.blend", compared=COMPARED):
    gallery = Gallery(film, 64, 32, tuple(map(sheet, frames)), "wheel.png", 20.0)
    return page_html(gallery, verdict, POSES, compared, 24, blend, "dataset/")


def test_page_shows_the_film_and_the_labels_of_each_sheet():
    checked = check(page())
    of_sheets = [f"{frame}_{which}.png" for frame in ("0002", "0047") for which in "abc"]
    of_poses = [each.file for each in (*POSES.colours, *POSES.poses, POSES.sheet)]
    assert checked.images == [FILM[0], *of_poses, "wheel.png", *of_sheets, "exact.png", "classical.png"]
    assert {"demo.blend", "dataset/", "udp/AR Heroine/", *of_poses, *of_sheets} <= set(checked.links)
    assert "A-pose, 46 degrees" in checked.text
    assert "20 px" in checked.text
    assert "0.8 px off & more" in checked.text


def test_nothing_compared_has_no_section():
    assert "pictures alone" in page()
    assert "pictures alone" not in page(compared=Comparison((), ""))


def test_every_frame_is_in_the_film():
    text = page()
    assert all(frame in text.partition("const files")[2] for frame in FILM)


def test_links_within_the_page_lead_somewhere():
    checked = check(page())
    inner = [link[1:] for link in checked.links if link.startswith("#")]
    assert inner == ["frame-0002", "frame-0047"]
    assert set(inner) <= set(checked.ids)


@pytest.mark.parametrize("is_good", [True, False])
def test_the_verdict_is_told_with_its_figures(is_good):
    row = Row("Warp <error>", "0.2", "0.5", "0.01", is_good)
    verdict = Verdict(is_good, "Answer & reason", (row,), () if is_good else ("all <b>",), ("a note",), "worst.png")
    text = page(verdict=verdict)
    assert f'class="verdict {"good" if is_good else "bad"}"' in text
    checked = check(text)
    for told in ("Answer & reason", "Warp <error>", "0.2", "0.5", "0.01", "a note"):
        assert told in checked.text
    assert "worst.png" in checked.images
    assert ("too much" in checked.text) is ("all <b>" in checked.text) is not is_good


def test_a_frame_without_matching_has_no_empty_place_for_it():
    assert 'class="matching"' not in page(sheet=lambda frame: Sheet(frame, (picture("a.png"),)))


def test_odd_names_do_not_break_the_page():
    film = ('a"<b>.png', "</script>.png", "50%#?.png")
    checked = check(text := page(film, blend="d&.blend"))
    assert checked.images[0] == 'a"<b>.png'
    assert "d&.blend" in checked.links
    assert text.count("</script>") == 1
    assert "50%25%23%3F.png" in text


@pytest.mark.parametrize("count", [1, 2, 12, 13, 100])
def test_spread_keeps_the_ends(count):
    items = [str(index) for index in range(count)]
    chosen = spread(items, 12)
    assert chosen[0] == items[0]
    assert chosen[-1] == items[-1]
    assert len(chosen) == min(count, 12)
    assert chosen == sorted(set(chosen), key=int)
