# SPDX-License-Identifier: GPL-3.0-or-later
"""Web pages that come in place of a file: Google Drive's question whether one really wants it, and excuses.

Nothing is fetched here.
"""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# What Drive calls the form behind its "Download anyway".
_FORM = "download-form"


def confirmed_address(page: str) -> str | None:
    """Where Drive's "Download anyway" leads; None if the page has no such button."""
    form = _parsed(page).form
    if form is None:
        return None
    parts = urlsplit(form[0])
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *form[1]])))


def title_of(page: str) -> str:
    """What a page calls itself, for an error."""
    title = " ".join(_parsed(page).title.split())[:100]
    return f"the web page '{title}'" if title else "a web page"


def _parsed(page: str) -> _Page:
    parsed = _Page()
    parsed.feed(page)
    parsed.close()
    return parsed


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.form: tuple[str, list[tuple[str, str]]] | None = None
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes the form, its hidden fields, and that the title begins."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and values.get("id") == _FORM and values.get("action"):
            self.form = values["action"], []
            self._within = tag
        elif tag == "input" and self._within == "form" and self.form is not None and values.get("type") == "hidden":
            self.form[1].append((values.get("name", ""), values.get("value", "")))
        elif tag == "title":
            self._within = tag

    def handle_endtag(self, tag: str) -> None:
        """The form or the title ends."""
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        """Collects the title."""
        if self._within == "title":
            self.title += data
