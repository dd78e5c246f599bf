# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's page: one HTML file beside its pictures, that a browser opens from disk. No bpy, and no pictures made."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from string import Template
from urllib.parse import quote


@dataclass(frozen=True)
class Picture:
    """A picture with what stands below it; `alt` is for those who cannot see it. Files are relative to the page."""

    file: str
    title: str
    text: str
    alt: str


@dataclass(frozen=True)
class Sheet:
    """What is shown of one frame. Of the matching there are two pictures, this frame and the next, or none."""

    frame: str
    pictures: tuple[Picture, ...]
    matching: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """The film, some of its frames with their labels, and what belongs to all of these."""

    film: tuple[str, ...]
    width_px: int
    height_px: int
    sheets: tuple[Sheet, ...]
    legend: str
    scale_px: float


@dataclass(frozen=True)
class Comparison:
    """Flow that was estimated from frames beside the exact flow and the error, three pictures a frame."""

    pictures: tuple[Picture, ...]
    summary: str


@dataclass(frozen=True)
class Poses:
    """A character's Ultra-Dense Pose: colour frames and the same as poses, and the sheet that it is drawn after."""

    colours: tuple[Picture, ...]
    poses: tuple[Picture, ...]
    sheet: Picture
    summary: str
    folder: str  # of the sequence, relative to the page


@dataclass(frozen=True)
class Row:
    """One figure of the check: what is looked for, how much of it there is, and how much there may be."""

    what: str
    mean: str
    worst: str  # of all pairs of frames
    most: str
    is_good: bool = True


@dataclass(frozen=True)
class Verdict:
    """The quality check's answer."""

    is_good: bool
    summary: str
    rows: tuple[Row, ...]
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    worst_pairs: str | None = None  # a picture, relative to the page


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AnimeRun demo</title>
<style>
  :root { color-scheme: dark; }
  body { margin: 0 auto; padding: 1.5rem; max-width: 1400px; background: #16181d; color: #e8e8ea; }
  body { font: 16px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; } h3 { font-size: 1rem; margin: 0; }
  p { margin: .5rem 0; max-width: 75ch; }
  a { color: #8ec7ff; }
  :focus-visible { outline: 3px solid #8ec7ff; outline-offset: 2px; }
  img { max-width: 100%; height: auto; display: block; background: #000; }
  .film { max-width: 1080px; }
  #film { width: 100%; }
  .controls { display: flex; gap: 1rem; align-items: center; margin-top: .5rem; }
  .controls input { flex: 1; min-width: 0; }
  button { font: inherit; min-width: 5.5rem; padding: .3rem .8rem; border-radius: 6px; cursor: pointer; }
  button { background: #2a2e37; color: inherit; border: 1px solid #565c69; }
  .verdict { display: flex; gap: .8rem; align-items: center; padding: .6rem 1rem; border-radius: 6px; max-width: none; }
  .verdict { background: #22252d; border-left: 6px solid; }
  .verdict::before { font-size: 1.5rem; line-height: 1; }
  .good { border-color: #5ec27a; } .good::before { content: "\\2713" / ""; color: #5ec27a; }
  .bad { border-color: #ff7b72; } .bad::before { content: "\\2717" / ""; color: #ff7b72; }
  .wide { overflow-x: auto; }
  details { margin-top: 1rem; } summary { cursor: pointer; }
  ul { margin: .3rem 0; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { text-align: left; padding: .25rem 1.5rem .25rem 0; border-bottom: 1px solid #2f333c; vertical-align: top; }
  td:not(:last-child) { white-space: nowrap; }
  thead th { font-weight: 600; } tbody th { font-weight: 400; } td.no { color: #ff7b72; font-weight: 600; }
  .scale { display: flex; gap: 1.5rem; align-items: center; flex-wrap: wrap; }
  .scale img { width: 140px; border-radius: 6px; } .scale div { flex: 1 1 16rem; } .scale p { max-width: none; }
  nav { display: flex; flex-wrap: wrap; gap: .5rem 1rem; margin: 1rem 0; }
  section.frame { border-top: 1px solid #2f333c; padding: 1rem 0 2rem; scroll-margin-top: .5rem; }
  .sheet { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1rem .8rem; margin-top: .6rem; }
  .matching { grid-column: span 2; display: grid; grid-template-columns: subgrid; row-gap: 1rem; }
  figure { margin: 0; min-width: 0; } figure img { width: 100%; }
  figcaption { font-size: .85rem; line-height: 1.35; color: #b4b4bc; margin-top: .25rem; }
  figcaption b { color: #e8e8ea; }
  .strip { display: grid; grid-template-columns: repeat($columns, minmax(5rem, 1fr)); gap: .3rem; }
  .strip img, .cutout { background: #3a3f4b; }
  .strip img { width: 100%; }
  @media (max-width: 640px) {
    body { padding: .8rem; }
    .sheet { grid-template-columns: minmax(0, 1fr); } .matching { grid-column: span 1; }
    table { font-size: .85rem; } th, td { padding-right: .6rem; }
  }
</style>
</head>
<body>
<h1>AnimeRun demo</h1>
<p>$count frames of the demo scene as a data set in AnimeRun's layout: colour frames, line art, optical flow, occlusion,
  segments and their matching, in <a href="$dataset">$dataset</a>. Open <a href="$blend">$blend</a> in Blender to look
  around in the scene.</p>
<div class="film">
  <img id="film" src="$first" width="$width" height="$height" alt="The demo shot, frame by frame">
  <div class="controls">
    <button id="play" type="button">Pause</button>
    <input id="scrub" type="range" min="0" max="$last_index" value="0" aria-label="Frame">
    <output id="number" for="scrub" aria-live="off">1</output>
  </div>
</div>
<h2>Quality check</h2>
<p class="verdict $goodness">$summary</p>
$failures
<div class="wide" role="region" aria-label="Figures of the quality check" tabindex="0">
<table>
<thead><tr><th scope="col">What would be wrong</th><th scope="col">Mean</th><th scope="col">Worst pair</th>
<th scope="col">Allowed</th></tr></thead>
<tbody>
$rows
</tbody>
</table>
</div>
$notes
$worst_pairs
$poses
<h2>Frames and their labels</h2>
<div class="scale">
  <img src="$legend" alt="Colour wheel: the hue tells where a pixel moves, full colour is $scale px">
  <div>
    <p><b>Flow</b> has the colour of where a pixel goes: towards that side of the wheel, in full colour by $scale px,
      darker if further. White stands still, grey is unknown. One scale serves the whole clip.</p>
    <p><b>Segments</b> keep their colour from frame to frame as long as two are each other's best match.</p>
    <p><b>Matching</b> shows this frame's segments in the colours of those of the next frame that they match best.
      What is hatched has no counterpart.</p>
  </div>
</div>
<nav aria-label="Frames">
$links
</nav>
$sheets
$comparison
<script>
  const files = $files, names = $names, fps = $fps;
  const film = document.getElementById("film"), scrub = document.getElementById("scrub");
  const play = document.getElementById("play"), number = document.getElementById("number");
  const images = files.map(file => Object.assign(new Image(), {src: file}));
  let timer = null;
  function show(index) {
    film.src = images[index].src;
    scrub.value = index;
    scrub.setAttribute("aria-valuetext", "Frame " + names[index]);
    number.value = names[index];
  }
  function toggle() {
    if (timer === null) {
      timer = setInterval(() => show((Number(scrub.value) + 1) % files.length), 1000 / fps);
    } else {
      clearInterval(timer);
      timer = null;
    }
    play.textContent = timer === null ? "Play" : "Pause";
  }
  scrub.addEventListener("input", () => { if (timer !== null) toggle(); show(Number(scrub.value)); });
  play.addEventListener("click", toggle);
  show(0);
  play.textContent = "Play";
  // Who asked the system for less motion starts the film themselves.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) toggle();
</script>
</body>
</html>
""")


def page_html(
    gallery: Gallery,
    verdict: Verdict,
    poses: Poses,
    comparison: Comparison,
    fps: float,
    blend: str,
    dataset: str,
) -> str:
    """The page's text. `blend` and `dataset` are what it points at; all files are relative to the page."""
    names = [PurePath(file).stem for file in gallery.film]
    return _PAGE.substitute(
        count=len(gallery.film),
        blend=_address(blend),
        dataset=_address(dataset),
        first=_address(gallery.film[0]),
        width=gallery.width_px,
        height=gallery.height_px,
        last_index=len(gallery.film) - 1,
        goodness="good" if verdict.is_good else "bad",
        summary=html.escape(verdict.summary),
        rows="\n".join(_row(row) for row in verdict.rows),
        failures=_list(verdict.failures, "What is wrong"),
        notes=_list(verdict.notes, "Worth knowing"),
        worst_pairs=_worst_pairs(verdict),
        poses=_poses(poses),
        columns=len(poses.poses),
        legend=_address(gallery.legend),
        scale=f"{gallery.scale_px:g}",
        links="\n".join(
            f'<a href="#{_anchor(sheet)}">Frame {html.escape(sheet.frame)}</a>' for sheet in gallery.sheets
        ),
        sheets="\n".join(_sheet(sheet, gallery) for sheet in gallery.sheets),
        comparison=_comparison(comparison, gallery),
        files=_script([_address(file) for file in gallery.film]),
        names=_script(names),
        fps=_script(fps),
    )


def _sheet(sheet: Sheet, gallery: Gallery) -> str:
    matching = _figures(sheet.matching, gallery)
    return (
        f'<section class="frame" id="{_anchor(sheet)}">\n<h3>Frame {html.escape(sheet.frame)}</h3>\n'
        f'<div class="sheet">\n{_figures(sheet.pictures, gallery)}\n'
        + (f'<div class="matching">\n{matching}\n</div>\n' if matching else "")
        + "</div>\n</section>"
    )


def _figures(pictures: Iterable[Picture], gallery: Gallery) -> str:
    size = f'width="{gallery.width_px}" height="{gallery.height_px}"'
    return "\n".join(
        f'<figure><a href="{_address(picture.file)}"><img src="{_address(picture.file)}" {size} '
        f'alt="{html.escape(picture.alt)}" loading="lazy"></a>'
        f"<figcaption><b>{html.escape(picture.title)}</b> {html.escape(picture.text)}</figcaption></figure>"
        for picture in pictures
    )


def _comparison(comparison: Comparison, gallery: Gallery) -> str:
    if not comparison.pictures:
        return ""
    return (
        f"<h2>Flow from the pictures alone</h2>\n<p>{html.escape(comparison.summary)}</p>\n"
        f'<div class="sheet">\n{_figures(comparison.pictures, gallery)}\n</div>'
    )


def _poses(poses: Poses) -> str:
    folder, sheet = _address(poses.folder), _address(poses.sheet.file)
    return (
        "<h2>Ultra-Dense Pose</h2>\n"
        "<p>Each point of the heroine has one colour in every frame: the place where it is while she stands still in "
        f"A-pose. CoNR draws her from such poses after a character sheet. The numbers are in "
        f'<a href="{folder}">{html.escape(poses.folder)}</a>. {html.escape(poses.summary)}</p>\n'
        '<div class="wide" role="region" aria-label="Frames and their poses" tabindex="0"><div class="strip">\n'
        + "\n".join(map(_cell, (*poses.colours, *poses.poses)))
        + f"\n</div></div>\n<h3>{html.escape(poses.sheet.title)}</h3>\n"
        f'<a href="{sheet}"><img class="cutout" src="{sheet}" alt="{html.escape(poses.sheet.alt)}" loading="lazy"></a>'
    )


def _cell(picture: Picture) -> str:
    address = _address(picture.file)
    return f'<a href="{address}"><img src="{address}" alt="{html.escape(picture.alt)}" loading="lazy"></a>'


def _row(row: Row) -> str:
    what, mean, worst, most = (html.escape(text) for text in (row.what, row.mean, row.worst, row.most))
    cell = f"<td>{worst}</td>" if row.is_good else f'<td class="no">{worst}, too much</td>'
    return f'<tr><th scope="row">{what}</th><td>{mean}</td>{cell}<td>{most}</td></tr>'


def _list(lines: Sequence[str], title: str) -> str:
    if not lines:
        return ""
    return f"<p>{title}:</p>\n<ul>\n" + "\n".join(f"<li>{html.escape(line)}</li>" for line in lines) + "\n</ul>"


def _worst_pairs(verdict: Verdict) -> str:
    if verdict.worst_pairs is None:
        return ""
    address = _address(verdict.worst_pairs)
    return (
        f'<details><summary>The pairs that fit worst</summary>\n<a href="{address}"><img src="{address}" '
        'alt="Pairs of frames with what differs when the second is carried back by the flow"></a></details>'
    )


def _anchor(sheet: Sheet) -> str:
    return html.escape(quote(f"frame-{sheet.frame}"))


def _address(file: str) -> str:
    """As a link says it: nothing in a file's name ends the link or the attribute that it stands in."""
    return quote(file)


def _script(value: object) -> str:
    # "</" would end the script early if a file's name had it.
    return json.dumps(value).replace("</", "<\\/")
