"""Dates as museums write them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boonart.dates import Years, parse_years


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("1883", 1883, 1883),
        ("c.1861", 1856, 1866),
        ("c. 1660", 1655, 1665),
        ("ca. 1700", 1695, 1705),
        ("circa 1700", 1695, 1705),
        ("?c.1888", 1883, 1893),
        ("?1829", 1829, 1829),
        ("exhibited 1898", 1898, 1898),
        ("?exhibited 1857 or 1866", 1857, 1866),
        ("published 1833", 1833, 1833),
        ("first printed c.1773", 1768, 1778),
        ("1817, exhibited 1817", 1817, 1817),
        ("1796, c.1818", 1796, 1823),
        ("1908, ?1930s", 1908, 1939),
        ("c.1620–5", 1615, 1630),
        ("1942–3", 1942, 1943),
        ("1764–96", 1764, 1796),
        ("c.1893–1900", 1888, 1905),
        ("1895–1905", 1895, 1905),
        ("?1830–1, exhibited 1831", 1830, 1831),
        ("1914 or 1915", 1914, 1915),
        ("1596 or after", 1596, 1606),
        ("after 1908", 1908, 1918),
        ("before 1700", 1690, 1700),
        ("by 1860", 1850, 1860),
        ("1790s", 1790, 1799),
        ("late 1790s", 1797, 1799),
        ("1790s-1810s", 1790, 1819),
        ("18th century", 1700, 1799),
        ("early 18th century", 1700, 1733),
        ("late 17th century", 1666, 1699),
        ("mid-19th century", 1833, 1866),
        ("second half of the 16th century", 1550, 1599),
        ("17th-18th century", 1600, 1799),
        ("500 BC", -500, -500),
        ("5th century BC", -500, -401),
        ("300-200 B.C.", -300, -200),
        ("27 BC", -27, -27),
        ("12 May 1861", 1861, 1861),
        ("1861-05-12", 1861, 1861),
        ("[1850]", 1850, 1850),
        ("1850/3", 1850, 1853),
        ("c.800", 795, 805),
    ],
)
def test_a_date_is_a_range_of_years(text: str, earliest: int, latest: int) -> None:
    assert parse_years(text) == Years(earliest, latest)


@pytest.mark.parametrize("text", ["", "date not known", "n.d.", "undated", "12", "inv. 123456", "summer"])
def test_what_names_no_year_has_no_range(text: str) -> None:
    assert parse_years(text) is None


@given(st.text(max_size=60) | st.from_regex(re.compile(r"[c.?0-9–\- sorthBC,]{0,30}", re.ASCII)))
def test_any_text_is_read_without_an_error(text: str) -> None:
    years = parse_years(text)
    assert years is None or years.earliest <= years.latest


def test_the_dates_of_a_real_museum_are_read(real_data: Path) -> None:
    lines = (real_data / "tate" / "works.jsonl").read_text(encoding="utf-8").splitlines()
    dates = [json.loads(line)["date"] for line in lines]
    unread = {date for date in dates if date and parse_years(date) is None}
    assert unread <= {"date not known"}
