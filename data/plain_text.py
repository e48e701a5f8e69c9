"""Foreign text, fit for people: nothing in it moves the cursor, hides itself or reverses the text around it."""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """Text without control, bidirectional, zero-width and unpaired surrogate characters.

    A name with such characters could look like another one or reverse the text around it. Line feeds and tabs stay.

    >>> plain("Si" + chr(0x202E) + "O2" + chr(7))
    'SiO2'
    """
    if text.isascii() and text.isprintable():
        return text
    spaced = re.sub("[\u2028\u2029\u0085]", " ", text)
    return "".join(c for c in spaced if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def one_line(text: str) -> str:
    r"""Foreign text, such as a name, fit for a line of a terminal.

    >>> one_line("Si\n" + chr(27) + "[31mO2" + chr(0x202E))
    'Si [31mO2'
    """
    return " ".join(plain(text).split())
