# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's page: one HTML file beside its pictures, that a browser opens from disk. No bpy."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from string import Template

# The contact sheet shows this many frames, evenly spread.
SHEET_FRAMES = 12

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AnimeRun demo</title>
<style>
  body { margin: 0 auto; padding: 1.5rem; max-width: 1080px; background: #16181d; color: #e8e8ea; }
  body { font: 16px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  a { color: #8ec7ff; }
  #film { width: 100%; display: block; background: #000; }
  .controls { display: flex; gap: 1rem; align-items: center; margin-top: .5rem; }
  .controls input { flex: 1; }
  .sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: .5rem; }
  figure { margin: 0; } figure img { width: 100%; display: block; } figcaption { font-size: .8rem; color: #a8a8b0; }
</style>
</head>
<body>
<h1>AnimeRun demo</h1>
<p>$count frames of the demo scene. Open <a href="$blend">$blend</a> in Blender to look around in it.</p>
<img id="film" src="$first" alt="The demo shot, frame by frame">
<div class="controls">
  <button id="play" type="button">Pause</button>
  <input id="scrub" type="range" min="0" max="$last_index" value="0" aria-label="Frame">
  <output id="number">1</output>
</div>
<h2>Frames</h2>
<div class="sheet">
$sheet
</div>
<script>
  const files = $files, fps = $fps;
  const film = document.getElementById("film"), scrub = document.getElementById("scrub");
  const play = document.getElementById("play"), number = document.getElementById("number");
  const images = files.map(file => Object.assign(new Image(), {src: file}));
  let timer = null;
  function show(index) {
    film.src = images[index].src;
    scrub.value = index;
    number.value = index + 1;
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
  toggle();
</script>
</body>
</html>
""")


def page_html(frames: Sequence[str], fps: float, blend: str) -> str:
    """The page's text. `frames` are paths relative to the page, in the order of the film."""
    return _PAGE.substitute(
        count=len(frames),
        blend=html.escape(blend),
        first=html.escape(frames[0]),
        last_index=len(frames) - 1,
        sheet="\n".join(_figure(frame) for frame in spread(frames, SHEET_FRAMES)),
        # "</" would end the script early if a file's name had it.
        files=json.dumps(list(frames)).replace("</", "<\\/"),
        fps=json.dumps(fps),
    )


def _figure(frame: str) -> str:
    name = html.escape(frame)
    return f'<figure><img src="{name}" alt="{name}" loading="lazy"><figcaption>{name}</figcaption></figure>'


def spread(items: Sequence[str], count: int) -> list[str]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]
