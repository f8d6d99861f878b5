"""Dates as museums write them, read as ranges of years: "c.1861", "exhibited 1898", "1790s", "18th century".

Years before Christ are negative; there is no year 0, and nothing here needs one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from boonart.errors import InvalidFilter
from boonart.works import And, Filter, Range

CIRCA = 5
"""Years by which "circa" widens a range on either side."""
OPEN = 10
"""Years that "after" and "before" reach."""
EARLIEST, LATEST = -10_000, 2_100
"""Years beyond these are no dates of works: a misprint, or a number of another kind."""

_DASH = r"\s*(?:-|to|until|and|or|/)\s*"
_CENTURY = re.compile(
    r"(?P<part>early|mid|middle|late|first half|second half|first quarter|second quarter|third quarter|last quarter"
    r"|fourth quarter|beginning|end|turn)?[\s-]*(?:of\s+)?(?:the\s+)?"
    rf"(?P<first>\d{{1,2}})(?:st|nd|rd|th)?(?:{_DASH}(?:early|mid|late)?\s*(?P<last>\d{{1,2}})(?:st|nd|rd|th)?)?"
    r"\s*(?:century|centuries|cent\b\.?)(?P<bc>\s*b\.?\s*c\.?(?:e\.?)?)?"
)
_DECADE = re.compile(r"(?P<part>early|mid|late)?[\s-]*(?P<first>\d{3,4})s(?:" + _DASH + r"(?P<last>\d{2,4})s)?")
_YEARS = re.compile(
    rf"(?<!\d)(?P<first>\d{{3,4}})(?![\d])(?:{_DASH}(?P<last>\d{{1,4}})(?![\d.]))?"
    r"(?P<bc>\s*b\.?\s*c\.?(?:e\.?)?)?"
)
_ISO = re.compile(r"\b(\d{4})-\d{2}-\d{2}\b")
_FEW_BC = re.compile(r"(?<!\d)(?P<first>\d{1,2})(?:\s*-\s*(?P<last>\d{1,2}))?\s*b\.?\s*c\.?(?:e\.?)?")
_ABOUT = re.compile(r"(?:\bc\.?|\bca\.?|\bcirca|\babout|\baround|\bprobably|~)\s*$")
_AFTER = re.compile(r"\b(?:after|from|since|not before)\s*$")
_BEFORE = re.compile(r"\b(?:before|by|until|not after)\s*$")
_OR_AFTER = re.compile(r"^\s*(?:or|and)\s+(?:after|later)")
_OR_BEFORE = re.compile(r"^\s*(?:or|and)\s+(?:before|earlier)")
_THIRDS = {
    "early": (0, 33),
    "beginning": (0, 33),
    "mid": (33, 66),
    "middle": (33, 66),
    "late": (66, 99),
    "end": (66, 99),
    "first half": (0, 49),
    "second half": (50, 99),
    "first quarter": (0, 24),
    "second quarter": (25, 49),
    "third quarter": (50, 74),
    "fourth quarter": (75, 99),
    "last quarter": (75, 99),
    "turn": (0, 9),
}
"""Parts of a century in years from its first one."""
_PARTS_OF_DECADE = {"early": (0, 3), "mid": (4, 6), "late": (7, 9)}


@dataclass(frozen=True, slots=True)
class Years:
    """A range of years, both included."""

    earliest: int
    latest: int

    def joined(self, other: Years) -> Years:
        """The range that holds both."""
        return Years(min(self.earliest, other.earliest), max(self.latest, other.latest))


def parse_years(text: str) -> Years | None:
    """The years that a date may mean, or None where it names none ("date not known").

    Several dates ("1796, c.1818") give the range that holds all of them.
    """
    rest = _plain(text)
    found: list[Years] = []
    for pattern, read in ((_CENTURY, _century), (_DECADE, _decade), (_FEW_BC, _years), (_YEARS, _years)):
        while (match := pattern.search(rest)) is not None:
            before, after = rest[: match.start()], rest[match.end() :]
            years = _qualified(read(match), before, after)
            if EARLIEST <= years.earliest <= years.latest <= LATEST:
                found.append(years)
            # What was read is taken out, so that no later pattern reads its digits again.
            rest = f"{before} ; {after}"
    if not found:
        return None
    whole = found[0]
    for years in found[1:]:
        whole = whole.joined(years)
    return whole


def overlapping(earliest: int | None, latest: int | None) -> Filter:
    """Works that may have been made in these years, both included: "c.1810", which may be 1805 to 1815, is found from
    1812 on.

    Args:
        earliest, latest: None leaves that side open.

    Raises:
        InvalidFilter: both sides are open.
    """
    bounds: list[Filter] = []
    if earliest is not None:
        bounds.append(Range("date_to", minimum=earliest))
    if latest is not None:
        bounds.append(Range("date_from", maximum=latest))
    if not bounds:
        raise InvalidFilter("A date has a bound: the earliest year, the latest, or both.", field="filter.date")
    return And(tuple(bounds))


def _plain(text: str) -> str:
    plain = text.casefold()
    for dash in "–—−‐‑":
        plain = plain.replace(dash, "-")
    plain = _ISO.sub(r"\1", plain)
    return re.sub(r"[?\[\](),]", lambda match: " ; " if match.group() == "," else " ", plain)


def _qualified(years: Years, before: str, after: str) -> Years:
    """The range as "circa", "after" and "before" beside it make it."""
    earliest, latest = years.earliest, years.latest
    if _ABOUT.search(before):
        earliest, latest = earliest - CIRCA, latest + CIRCA
        before = _ABOUT.sub("", before)
    if _AFTER.search(before) or _OR_AFTER.match(after):
        latest += OPEN
    elif _BEFORE.search(before) or _OR_BEFORE.match(after):
        earliest -= OPEN
    return Years(earliest, latest)


def _century(match: re.Match[str]) -> Years:
    first = int(match["first"])
    last = int(match["last"] or first)
    if match["bc"]:
        return Years(-100 * max(first, last), -100 * (min(first, last) - 1) - 1)
    start = 100 * (first - 1)
    if match["part"] and not match["last"]:
        low, high = _THIRDS[match["part"]]
        return Years(start + low, start + high)
    return Years(start, 100 * (max(first, last) - 1) + 99)


def _decade(match: re.Match[str]) -> Years:
    start = int(match["first"])
    last = _completed(start, match["last"]) if match["last"] else start
    if match["part"] and not match["last"]:
        low, high = _PARTS_OF_DECADE[match["part"]]
        return Years(start + low, start + high)
    # "1900s" is taken for its decade, as museums mean it more often than the century.
    return Years(start, max(start, last) + 9)


def _years(match: re.Match[str]) -> Years:
    first = int(match["first"])
    if match.groupdict().get("bc") or match.re is _FEW_BC:
        last = int(match["last"] or first)
        return Years(-max(first, last), -min(first, last))
    last = _completed(first, match["last"]) if match["last"] else first
    # "1850/3" ends in 1853; "1850-03" is a month, and a range that would run backwards is one year.
    return Years(first, last if last >= first else first)


def _completed(first: int, last: str) -> int:
    """The end of a range written short: 1620 and "5" give 1625."""
    start = str(first)
    return int(start[: len(start) - len(last)] + last) if len(last) < len(start) else int(last)
