"""Records as collections keep them, made into works."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from boonart.errors import RecordError
from boonart.works import Work

TEXT_FIELDS = (
    "id",
    "title",
    "artist",
    "date",
    "medium",
    "description",
    "source_url",
    "credit",
    "licence",
    "image",
)
FIELDS = (*TEXT_FIELDS, "subjects")
_LINKS = ("http://", "https://")


def work_of(record: Mapping[str, Any]) -> Work:
    """A work from a record; fields that a work does not have become `extra`.

    Null means empty, numbers become text, and single spaces stand for runs of white space.

    Raises:
        RecordError: a field that must be a text is a list or an object.
    """
    texts = {name: _text(name, record.get(name)) for name in TEXT_FIELDS}
    link = texts["source_url"]
    if link.lower().startswith("www."):
        texts["source_url"] = f"https://{link}"
    elif not link.lower().startswith(_LINKS):
        # Pages link to it, so a javascript: address must not get there.
        texts["source_url"] = ""
    extra = {
        str(name).strip(): value
        for name, raw in record.items()
        if name not in FIELDS and str(name).strip() and (value := _extra(raw)) is not None
    }
    if link and not texts["source_url"]:
        extra.setdefault("source", link)
    return Work(**texts, subjects=_subjects(record.get("subjects")), extra=extra)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecordError(f"The field {name!r} holds no text but {json.dumps(value)[:80]}.")
    if name in {"id", "image", "source_url"}:
        return _clean(str(value)).strip()
    return " ".join(_clean(str(value)).split())


def _clean(text: str) -> str:
    """The text without lone surrogates and null characters, which JSON may hold and nothing can store."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _subjects(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = value.replace("|", ";").split(";")
    if not isinstance(value, list):
        raise RecordError(f"The field 'subjects' is no list of texts but {json.dumps(value)[:80]}.")
    subjects = (_text("subjects", item) for item in value)
    return tuple(dict.fromkeys(subject for subject in subjects if subject))


def _extra(value: Any) -> str | int | float | bool | None:
    """The value as it can be stored, or None where it says nothing."""
    if value is None or value == "" or value == [] or value == {}:
        return None
    if isinstance(value, str):
        return _clean(value).strip() or None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return _clean("; ".join(str(item) for item in value))
    return _clean(json.dumps(value, ensure_ascii=False))
