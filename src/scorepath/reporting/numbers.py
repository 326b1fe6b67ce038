"""Numbers as people write them: on the page there is no 5.7e+06, whatever sentence of whatever table it comes in.

A table's own text keeps what was written into it; only what is read on the page is put into words here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scorepath.figures.wording import number, ten_to

EXPONENT = re.compile(r"(?<![\w.])([-−]?)(\d(?:\.\d+)?)e([+-]\d{2,3})(?!\w)")
"""A number as programs print it when it is large or small: always with the exponent's sign."""
NEGATIVE = re.compile(r"(?<=[\s(\[])-(?=\d)")
"""A sign that programs print as a hyphen."""
VERBATIM = ("code", "pre", "script", "style")
"""Elements whose text is for machines."""


def readable(text: str) -> str:
    """A sentence in which every number with an exponent is one that people write, with the digits that it had.

    >>> readable("5.7e+06 by its own noise and -2.1 by the slope; a bias below 1.4e+02 %; within 1e-12")
    '5.7×10⁶ by its own noise and −2.1 by the slope; a bias below 140 %; within 10⁻¹²'
    """
    return NEGATIVE.sub("−", EXPONENT.sub(_written, text))


def _written(found: re.Match[str]) -> str:
    sign, mantissa, exponent = found[1].replace("-", "−"), found[2], found[3]
    if -3 <= int(exponent) < 5:
        return sign + number(float(f"{mantissa}e{exponent}"), len(mantissa.replace(".", "")))
    return sign + (ten_to(int(exponent)) if mantissa == "1" else f"{mantissa}×{ten_to(int(exponent))}")


def readable_page(page: str) -> str:
    """A page whose text is `readable`; tags, code and scripts stay as they are."""
    return "".join(_parts(page))


def _parts(page: str) -> Iterator[str]:
    inside = ""
    for part in re.split(r"(<[^>]*>)", page):
        if part.startswith("<"):
            tag = re.match(r"<(/?)(\w+)", part)
            if tag and not inside and not tag[1] and tag[2] in VERBATIM:
                inside = tag[2]
            elif tag and tag[1] and tag[2] == inside:
                inside = ""
            yield part
        else:
            yield part if inside else readable(part)
