"""What a change of the OpenAPI document breaks for those who use the interface as it was described before.

Requests may only be given more freedom, answers may only be given more fields: nothing that was there goes away, and
nothing new is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_BOUNDS = (("maximum", 1), ("exclusiveMaximum", 1), ("maxLength", 1), ("maxItems", 1), ("maxProperties", 1))
_FLOORS = (("minimum", -1), ("exclusiveMinimum", -1), ("minLength", -1), ("minItems", -1), ("minProperties", -1))
Schema = dict[str, Any]


def breaking(before: Schema, after: Schema) -> list[str]:
    """What breaks, each in a line; empty where nothing does."""
    return list(dict.fromkeys(_Comparison(before, after).changes()))


class _Comparison:
    def __init__(self, before: Schema, after: Schema) -> None:
        self._before = before
        self._after = after
        self._seen: set[tuple[int, int, bool]] = set()

    def changes(self) -> Iterator[str]:
        for address, path in self._before["paths"].items():
            for method, old in path.items():
                place = f"{method.upper()} {address}"
                new = self._after["paths"].get(address, {}).get(method)
                if new is None:
                    yield f"{place} is gone"
                    continue
                if old["operationId"] != new["operationId"]:
                    yield f"{place} was called {old['operationId']} and is {new['operationId']}"
                yield from self._parameters(place, old, new)
                yield from self._bodies(place, old, new)
                yield from self._answers(place, old, new)

    def _parameters(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        there = {(item["in"], item["name"]): item for item in new.get("parameters", ())}
        known = {(item["in"], item["name"]): item for item in old.get("parameters", ())}
        for key, item in known.items():
            if key not in there:
                yield f"{place} no longer takes {key[1]}"
            else:
                yield from self._schemas(f"{place} {key[1]}", item["schema"], there[key]["schema"], asked=True)
        for key, item in there.items():
            if item.get("required") and not known.get(key, {}).get("required"):
                yield f"{place} now needs {key[1]}"

    def _bodies(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        was, now = old.get("requestBody", {}), new.get("requestBody", {})
        if now.get("required") and not was.get("required"):
            yield f"{place} now needs a body"
        for form, content in was.get("content", {}).items():
            if form not in now.get("content", {}):
                yield f"{place} no longer takes {form}"
            else:
                yield from self._schemas(f"{place} body", content["schema"], now["content"][form]["schema"], asked=True)

    def _answers(self, place: str, old: Schema, new: Schema) -> Iterator[str]:
        for status, answer in old["responses"].items():
            if not status.startswith("2"):
                continue
            if status not in new["responses"]:
                yield f"{place} no longer answers with {status}"
                continue
            for form, content in answer.get("content", {}).items():
                now = new["responses"][status].get("content", {})
                if form not in now:
                    yield f"{place} no longer answers with {form}"
                elif "schema" in content:
                    yield from self._schemas(f"{place} {status}", content["schema"], now[form]["schema"], asked=False)

    def _schemas(self, place: str, old: Schema, new: Schema, *, asked: bool) -> Iterator[str]:
        """What differs between two schemas; `asked` for what requests hold, else for what answers hold."""
        old, new = self._followed(self._before, old), self._followed(self._after, new)
        # Filters hold filters.
        if (id(old), id(new), asked) in self._seen:
            return
        self._seen.add((id(old), id(new), asked))
        if old.get("type") != new.get("type"):
            yield f"{place} was {old.get('type', 'of several types')} and is {new.get('type', 'of several types')}"
        for value in old.get("enum", ()):
            if value not in new.get("enum", (value,)):
                yield f"{place} no longer has the value {value}"
        if asked:
            yield from _narrower(place, old, new)
        for name, field in old.get("properties", {}).items():
            inner = new.get("properties", {}).get(name)
            if inner is None:
                yield f"{place} has lost {name}"
            else:
                yield from self._schemas(f"{place} {name}", field, inner, asked=asked)
        needed, was_needed = set(new.get("required", ())), set(old.get("required", ()))
        for name in sorted(needed - was_needed if asked else was_needed - needed):
            yield f"{place} now needs {name}" if asked else f"{place} may now be without {name}"
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
                yield from self._schemas(place, old[name], new[name], asked=asked)
        for number, (was, now) in enumerate(zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=False)):
            yield from self._schemas(f"{place} choice {number + 1}", was, now, asked=asked)
        if len(new.get("anyOf", ())) < len(old.get("anyOf", ())):
            yield f"{place} has lost a choice"

    @staticmethod
    def _followed(document: Schema, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema


def _narrower(place: str, old: Schema, new: Schema) -> Iterator[str]:
    """Bounds that a request kept and that no longer hold."""
    for name, sign in (*_BOUNDS, *_FLOORS):
        if name in new and (name not in old or sign * new[name] < sign * old[name]):
            yield f"{place} had {name} {old.get(name, 'open')} and has {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{place} must now match {new['pattern']}"
