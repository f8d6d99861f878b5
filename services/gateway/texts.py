"""The visible texts of the page, one file a language: `web/texts/<language>.toml`.

How to add a text: put a key into the table of its view in `en.toml`, the same key into every other file, and write
`{{ t("VIEW.KEY", name=value) }}` in a template or `texts("VIEW.KEY", name=value)` in a route. `{name}` in a text stands
for a value; whole numbers are grouped as the language writes them (pass a year as a string). A text that depends on a
number is a list of plural forms, chosen by the value named `count` with the file's own formula. What a script says
stands in the table `script` and is read there by `texts.js`. Import templates of macros `with context`, or they do not
know `t`. A test compares the files with each other and with the templates.

How to add a language: copy `en.toml`, translate it, and set what its table `language` says: its name, direction, plural
formula (as in gettext, https://www.gnu.org/software/gettext/manual/html_node/Plural-forms.html) and digit grouping.

TOML was taken and not gettext because it needs no compiled files and no tool beyond the standard library, and a
translator sees the texts in the order and under the names of the views.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from gettext import c2py
from pathlib import Path

from starlette.requests import Request

FOLDER = Path(__file__).with_name("web") / "texts"
COOKIE = "lang"
COOKIE_SECONDS = 365 * 24 * 3600
FIRST = "en"
"""The language that is complete: its texts stand where another language lacks one."""
MIRRORED = "ar-XB"
"""A made-up language from right to left, English in its words: for testing the layout, in no menu."""
Text = str | list[str]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language.

    Attributes:
        language: its tag, such as "en".
        name: what the language calls itself.
        dir: "ltr" or "rtl".
        thousands: what stands between groups of three digits.
    """

    language: str
    name: str
    dir: str
    thousands: str
    _plural: Callable[[int], int]
    _texts: Mapping[str, Text]

    def __call__(self, key: str, **values: object) -> str:
        """The text `key` with its values.

        Raises:
            KeyError: there is no such text, or it needs a value that is not given.
        """
        text = self._texts[key]
        if isinstance(text, list):
            text = text[min(self._plural(int(str(values["count"]))), len(text) - 1)]
        return text.format(**{name: self._written(value) for name, value in values.items()})

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts

    def script(self) -> dict[str, str]:
        """What scripts say, by key without "script."."""
        return {
            key.removeprefix("script."): text
            for key, text in self._texts.items()
            if key.startswith("script.") and isinstance(text, str)
        }

    def _written(self, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}".replace(",", self.thousands)
        return value


@cache
def languages() -> Mapping[str, Texts]:
    """All languages by tag, the first one first; the files are read once."""
    files = sorted(FOLDER.glob("*.toml"), key=lambda path: (path.stem != FIRST, path.stem))
    first: dict[str, Text] = {}
    found = {}
    for path in files:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        about = tables.pop("language")
        texts = {**first, **_flat(tables)}
        first = first or texts
        found[path.stem] = Texts(
            path.stem, about["name"], about["dir"], about["thousands"], c2py(about["plural"]), texts
        )
    return found


def chosen(request: Request) -> Texts:
    """The texts for a request: of the language in its address, its cookie or its `Accept-Language`, in this order."""
    known = languages()
    asked = request.query_params.get("lang", "")
    if asked == MIRRORED:
        return replace(known[FIRST], language=MIRRORED, dir="rtl")
    for tag in (asked, request.cookies.get(COOKIE, ""), *_accepted(request.headers.get("accept-language", ""))):
        for candidate in (tag.lower(), tag.lower().partition("-")[0]):
            if candidate in known:
                return known[candidate]
    return known[FIRST]


def _accepted(header: str) -> list[str]:
    """The tags of an `Accept-Language` header, best first (RFC 9110, 12.5.4)."""
    weighted: list[tuple[float, int, str]] = []
    for part in header.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        if tag and quality > 0:
            weighted.append((-quality, len(weighted), tag))
    return [tag for _, _, tag in sorted(weighted)]


def _flat(tables: Mapping[str, object], prefix: str = "") -> dict[str, Text]:
    flat: dict[str, Text] = {}
    for name, value in tables.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = [str(form) for form in value] if isinstance(value, list) else str(value)
    return flat
