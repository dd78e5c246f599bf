# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's page as text: well-formed, complete, and safe with any file name."""

from html.parser import HTMLParser

import pytest

from animerun_addon.pipeline.demo_page import SHEET_FRAMES, page_html, spread


class Checker(HTMLParser):
    """Collects pictures and sees to it that every element is closed."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self):
        super().__init__()
        self.open, self.images = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open
    return checker


FRAMES = [f"frames/{frame:04}.png" for frame in range(1, 49)]


def test_page_shows_the_film_and_a_sheet():
    images = check(page_html(FRAMES, 24, "demo.blend")).images
    assert images[0] == FRAMES[0]
    assert images[1:] == spread(FRAMES, SHEET_FRAMES)


def test_every_frame_is_in_the_film():
    text = page_html(FRAMES, 24, "demo.blend")
    assert all(frame in text.partition("const files")[2] for frame in FRAMES)


def test_odd_names_do_not_break_the_page():
    text = page_html(['a"<b>.png', "</script>.png"], 24, "d&.blend")
    assert check(text).images[0] == 'a"<b>.png'
    assert text.count("</script>") == 1


@pytest.mark.parametrize("count", [1, 2, 12, 13, 100])
def test_spread_keeps_the_ends(count):
    items = [str(index) for index in range(count)]
    chosen = spread(items, 12)
    assert chosen[0] == items[0]
    assert chosen[-1] == items[-1]
    assert len(chosen) == min(count, 12)
    assert chosen == sorted(set(chosen), key=int)
