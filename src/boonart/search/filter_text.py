"""Filters as a person types them, read into the tree that a request carries.

    artist = "John Constable" and year >= 1800 and not medium = etching
    title : "mill river" or (subjects in (cow, horse) and description : *)
    date : 1790..1810

`=`, `!=`, `>=`, `<=` and `in (...)` compare values; `field : "words"` holds where the text has all these words,
`field : *` where the field is not empty, and `date : 1790..1810` where the work may have been made in these years.
`not` binds closer than `and`, `and` closer than `or`, in any case of letters. What has anything but letters, digits and
`_ . - + /` in it stands in double quotes, a double quote or a backslash in there behind a backslash.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from boonart.errors import InvalidFilter

Tree = dict[str, Any]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<sign>!=|>=|<=|\.\.|[=:(),*<>])
      | (?P<word>(?:[\w/+-]|\.(?!\.))+)
    )""",
    re.X,
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_DEEPEST = 50
"""Brackets and `not` inside each other: reading them recurses. The search itself takes far fewer."""


def parse_filter(text: str) -> Tree:
    """The tree of a filter, as `filter` of `POST /v1/search` is written.

    Raises:
        InvalidFilter: with the place where it cannot be read.
    """
    reader = _Reader(text)
    tree = reader.either()
    if reader.token:
        reader.fail("and, or, or the end is expected")
    return tree


class _Reader:
    """Recursive descent over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = 0
        self._depth = 0
        self.kind, self.token, self._at = "", "", 0
        self._advance()

    def either(self) -> Tree:
        """Parts joined by `or`."""
        parts = [self._all()]
        while self._takes_word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else {"or": parts}

    def fail(self, what: str) -> NoReturn:
        """Say what cannot be read, and where."""
        found = f"{self.token[:40]!r} stands there" if self.token else "it ends there"
        raise InvalidFilter(
            f"The filter cannot be read at character {self._at + 1}: {what}, but {found}.",
            hint='Write it like artist = "John Constable" and year >= 1800.',
            field="filter",
        )

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._takes_word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else {"and": parts}

    def _one(self) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            self.fail("brackets are nested too deeply")
        if self._takes_word("not"):
            tree: Tree = {"not": self._one()}
        elif self._takes("("):
            tree = self.either()
            self._expect(")")
        else:
            tree = self._condition()
        self._depth -= 1
        return tree

    def _condition(self) -> Tree:
        if self.kind not in {"word", "quoted"}:
            self.fail("the name of a field is expected")
        name = self._text_of_token()
        self._advance()
        if self._takes_word("in"):
            return {"in": {"field": name, "values": self._values()}}
        sign = self.token if self.kind == "sign" else ""
        if sign not in {"=", "!=", ">=", "<=", ":"}:
            self.fail("=, !=, >=, <=, : or in is expected")
        self._advance()
        if sign == ":":
            return self._holding(name)
        if sign in {">=", "<="}:
            return {"range": {"field": name, "gte" if sign == ">=" else "lte": self._number()}}
        same: Tree = {"eq": {"field": name, "value": self._value()}}
        return same if sign == "=" else {"not": same}

    def _holding(self, name: str) -> Tree:
        if self._takes("*"):
            return {"exists": {"field": name}}
        if name.casefold() == "date" and self.kind != "quoted":
            return {"date": self._years()}
        value = self._value()
        return {"words": {"field": name, "text": str(value)}}

    def _years(self) -> Tree:
        first = None if self.token == ".." else self._year()
        if not self._takes(".."):
            return {"from": first, "to": first}
        last = self._year() if self.kind == "word" and _WHOLE.fullmatch(self.token) else None
        years = {name: year for name, year in (("from", first), ("to", last)) if year is not None}
        if not years:
            self.fail("a year is expected")
        return years

    def _year(self) -> int:
        if not _WHOLE.fullmatch(self.token):
            self.fail("a year or years like 1790..1810 are expected")
        year = int(self.token)
        self._advance()
        return year

    def _values(self) -> list[Any]:
        self._expect("(")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _number(self) -> int | float:
        if self.kind != "word" or not _NUMBER.fullmatch(self.token):
            self.fail("a number is expected")
        number = int(self.token) if _WHOLE.fullmatch(self.token) else float(self.token)
        self._advance()
        return number

    def _value(self) -> Any:
        if self.kind == "word":
            if _NUMBER.fullmatch(self.token):
                return self._number()
            if self.token.casefold() in {"true", "false"}:
                truth = self.token.casefold() == "true"
                self._advance()
                return truth
        elif self.kind != "quoted":
            self.fail("a value is expected")
        value = self._text_of_token()
        self._advance()
        return value

    def _text_of_token(self) -> str:
        return re.sub(r"\\(.)", r"\1", self.token[1:-1]) if self.kind == "quoted" else self.token

    def _takes(self, sign: str) -> bool:
        if self.kind != "sign" or self.token != sign:
            return False
        self._advance()
        return True

    def _takes_word(self, word: str) -> bool:
        if self.kind != "word" or self.token.casefold() != word:
            return False
        self._advance()
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            self.fail(f"{sign} is expected")

    def _advance(self) -> None:
        rest = len(self._text) - len(self._text[self._next :].lstrip())
        self._at = rest
        if rest == len(self._text):
            self.kind, self.token = "", ""
            return
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            self.kind, self.token = "none", self._text[rest]
            return
        self.kind = str(found.lastgroup)
        self.token = found[self.kind]
        self._next = found.end()
