"""Descriptions made from other fields, for records that have none."""

from __future__ import annotations

import string
from dataclasses import replace

from boonart.errors import SourceError
from boonart.works import Work

DEFAULT_TEMPLATE = "{title}. {subjects}"
FIELDS = ("title", "artist", "date", "medium", "subjects", "credit")


class Template:
    """A text with fields in braces, such as "{title} by {artist}. {subjects}".

    An empty field takes the text before it along, so that nothing is left of its separator. Subjects are the
    last parts of their paths, joined by commas.

    Args:
        text: the template, or "" for none.

    Raises:
        SourceError: braces that do not match, or a field that does not exist.
    """

    def __init__(self, text: str) -> None:
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError as error:
            raise SourceError(
                f"The description template {text!r} cannot be read: {error}.",
                hint="Double a brace that is meant literally.",
            ) from error
        for _, name, spec, conversion in pieces:
            if name is not None and (name not in FIELDS or spec or conversion):
                raise SourceError(
                    f"The description template names {name!r}, which is not a field.",
                    hint=f"Fields: {', '.join(FIELDS)}.",
                )
        self._pieces = [(literal, name) for literal, name, _, _ in pieces]
        if text and not any(name for _, name in self._pieces):
            raise SourceError(f"The description template {text!r} names no field.")

    def apply(self, work: Work) -> tuple[Work, bool]:
        """The work with a description, and whether the template made it."""
        if work.description.strip():
            return work, False
        text = self.compose(work)
        return (replace(work, description=text), True) if text else (work, False)

    def compose(self, work: Work) -> str:
        """The template filled in, "" where all its fields are empty."""
        text = ""
        pending = ""
        for row, (literal, name) in enumerate(self._pieces):
            if row == 0:
                pending = literal
                separator = literal
            else:
                # The text before the first field that is there stays; between fields it separates.
                separator = literal if text else pending
            value = "" if name is None else _value(work, name)
            if value or (name is None and text):
                text = _join(text, separator) + value
        return " ".join(text.split())


def short_subject(path: str) -> str:
    """The last part of a subject's path: "cow" of "nature > animals: mammals > cow"."""
    return path.rsplit(">", 1)[-1].strip()


def _value(work: Work, name: str) -> str:
    if name != "subjects":
        return str(getattr(work, name)).strip()
    shortened = {short_subject(path).casefold(): short_subject(path) for path in reversed(work.subjects)}
    return ", ".join(reversed([subject for subject in shortened.values() if subject]))


def _join(text: str, separator: str) -> str:
    """The text with a separator behind it, without doubling a full stop."""
    if text.endswith((".", "!", "?")) and separator.startswith("."):
        separator = separator[1:]
    return text + separator
