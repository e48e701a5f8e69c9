"""Foreign text, fit for people: nothing in it moves the cursor, hides itself or reverses the text around it."""

from __future__ import annotations

import re
import unicodedata

# Characters that show nothing although Unicode counts them as letters or marks (DerivedCoreProperties, 16.0:
# Default_Ignorable_Code_Point), and the empty Braille pattern.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def plain(text: str) -> str:
    """Text without control, bidirectional, invisible and unpaired surrogate characters.

    A name with such characters could look like another one or reverse the text around it. Line feeds and tabs stay.

    >>> plain("Si" + chr(0x202E) + "O2" + chr(7))
    'SiO2'
    """
    if text.isascii() and text.isprintable():
        return text
    spaced = re.sub("[\u2028\u2029\u0085]", " ", _INVISIBLE.sub("", text))
    return "".join(c for c in spaced if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def one_line(text: str) -> str:
    r"""Foreign text, such as a name, fit for a line of a terminal.

    >>> one_line("Si\n" + chr(27) + "[31mO2" + chr(0x202E))
    'Si [31mO2'
    """
    return " ".join(plain(text).split())


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: with a singular for one, and thousands apart.

    Args:
        number: How many.
        noun: What they are, in the singular.
        plural: The plural, where it is not the singular with an s.

    >>> counted(1, "surrogate"), counted(2500, "surrogate"), counted(0, "property", "properties")
    ('1 surrogate', '2,500 surrogates', '0 properties')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
