# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's page in a browser, opened from disk: it complains about nothing, shows everything, and the film plays.

Its data set is the tiny one; set $ANIMERUN_DEMO to the folder of a real demo to look at that instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import chromium as tool
import cv2
import pytest
from browser import END, LEFT, RIGHT, TAB, Browser
from conftest import PICTURES

from animerun_addon.dataset.quality import check_steps
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.pipeline.demo_page import Comparison, Picture, Poses, page_html
from animerun_addon.pipeline.demo_pictures import gallery_steps
from animerun_addon.pipeline.demo_verdict import verdict_of
from animerun_addon.pipeline.job import Job

PURE = Path(__file__).resolve().parents[1] / "pure"

PHONE_PX = (360, 740)
FRAMES = 10
FPS = 24
# Only what the eye has come near is loaded at once.
ALL_PICTURES = """
const all = [...document.querySelectorAll("img")];
all.forEach(image => image.loading = "eager");
return all.every(image => image.complete) && all.map(image => [image.getAttribute("src"), image.naturalWidth]);
"""
NUMBER = "return document.getElementById('number').value"
FILM = "return document.getElementById('film').getAttribute('src')"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("ANIMERUN_DEMO")
    return Path(named, "index.html") if named else tiny_page(tmp_path_factory.mktemp("a demo, 100% #1"))


def tiny_page(folder: Path) -> Path:
    """As `animerun demo` makes it, without Blender."""
    sys.path.insert(0, str(PURE))
    from tiny_dataset import write_clip

    write_clip(folder / "dataset", frames=range(1, FRAMES + 1))
    check = Job("Check", check_steps(folder / "dataset")).run()
    clip = AnimeRun(folder / "dataset").clips[0]
    gallery = Job("Pictures", gallery_steps(clip, folder / "labels", folder)).run()
    (folder / "demo.blend").touch()
    page = folder / "index.html"
    colours = tuple(Picture(file, "Frame", "", "A frame") for file in gallery.film[:4])
    poses = Poses(colours, colours, colours[0], "A-pose, 45 degrees", "dataset/")
    compared = Comparison(colours, "It is off by 3 px")
    verdict = verdict_of(check, clip.meta, folder)
    text = page_html(gallery, verdict, poses, compared, FPS, "demo.blend", "dataset/")
    page.write_text(text, encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser]:
    found = tool.find()
    if isinstance(found, tool.Missing):
        pytest.skip(f"no browser: {found.reason}")
    with Browser(found) as browser:
        yield browser


@pytest.fixture
def browser(_browser: Browser, page: Path) -> Browser:
    """A wide window with the page, freshly opened."""
    _browser.devtools("Emulation.clearDeviceMetricsOverride")
    _browser.devtools("Emulation.setEmulatedMedia", features=[])
    _browser.complaints()  # of the test before
    _browser.open(page)
    return _browser


def paused(browser: Browser) -> Browser:
    browser.click("#play")
    assert browser.run("return document.getElementById('play').textContent") == "Play"
    return browser


def on_a_phone(browser: Browser) -> Browser:
    width, height = PHONE_PX
    browser.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True)
    return browser


def test_every_picture_is_shown_and_the_console_stays_empty(browser):
    pictures = browser.wait_for(ALL_PICTURES)
    assert len(pictures) > 50
    assert [name for name, width_px in pictures if not width_px] == []
    assert browser.complaints() == []


def test_a_missing_picture_would_be_noticed(browser):
    paused(browser).run("document.getElementById('film').src = 'nowhere.png'")
    browser.wait_for("const film = document.getElementById('film'); return film.complete && !film.naturalWidth")
    assert any("nowhere.png" in complaint for complaint in browser.complaints())


def test_every_link_leads_to_something(browser, page):
    links = browser.run("return [...document.links].map(link => [link.protocol, decodeURI(link.getAttribute('href'))])")
    assert links
    for protocol, link in links:
        assert protocol == "file:"
        if link.startswith("#"):
            assert browser.run(f"return !!document.getElementById({link[1:]!r})")
        else:
            assert (page.parent / link.replace("%23", "#")).exists(), link


def test_the_film_plays_by_itself_and_stops(browser):
    first = browser.run(NUMBER)
    browser.wait_for(f"{NUMBER} !== '{first}'")
    paused(browser)
    stopped = browser.run(NUMBER)
    browser.run("return new Promise(done => setTimeout(done, 300))")
    assert browser.run(NUMBER) == stopped
    browser.click("#play")
    browser.wait_for(f"{NUMBER} !== '{stopped}'")
    assert browser.complaints() == []


def test_the_film_is_scrubbed_with_the_keyboard_alone(browser):
    browser.run("document.body.tabIndex = -1; document.body.focus()")
    browser.press("#scrub", END)
    last = browser.run("return [document.getElementById('scrub').max, document.getElementById('scrub').value]")
    assert last[0] == last[1]
    assert browser.run("return document.getElementById('play').textContent") == "Play"
    number, film = browser.run(NUMBER), browser.run(FILM)
    assert f"{number}.png" in film
    browser.press("#scrub", LEFT + LEFT + RIGHT)
    assert int(browser.run(NUMBER)) == int(number) - 1
    assert browser.run(FILM) != film
    assert browser.run("return document.getElementById('film').naturalWidth") > 0


def test_space_plays_and_tab_leads_from_control_to_control(browser):
    paused(browser)
    browser.press("#play", " ")
    assert browser.run("return document.getElementById('play').textContent") == "Pause"
    browser.press("#play", TAB)
    assert browser.run("return document.activeElement.id") == "scrub"


def test_everything_has_a_name_for_who_cannot_see_it(browser):
    assert browser.accessible_name("#play") == "Pause"
    assert browser.accessible_name("#scrub") == "Frame"
    nameless = "return [...document.querySelectorAll('img')].filter(image => !image.alt.trim()).length"
    assert browser.run(nameless) == 0
    assert browser.accessible_name(".sheet a").startswith("Colour: frame")


def test_who_wants_less_motion_starts_the_film_themselves(browser, page):
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    browser.open(page)
    assert browser.run("return document.getElementById('play').textContent") == "Play"


@pytest.mark.parametrize("width_px", [PHONE_PX[0], 700, 1440])
def test_nothing_is_wider_than_the_window(browser, width_px):
    browser.devtools(
        "Emulation.setDeviceMetricsOverride", width=width_px, height=740, deviceScaleFactor=1, mobile=False
    )
    assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [width_px, width_px]


@pytest.mark.parametrize("where", ["window", "phone"])
def test_a_picture_of_the_page_is_kept_to_be_looked_at(browser, where):
    paused(browser)
    if where == "phone":
        on_a_phone(browser)
    browser.wait_for(ALL_PICTURES)
    path = browser.screenshot(PICTURES / f"demo-page-{where}.png")
    picture = cv2.imread(str(path))
    assert picture.shape[0] > picture.shape[1]
    assert picture.std() > 20
