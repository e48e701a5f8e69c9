"""Which encodings the bytes of a text file may be in, most likely first."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FEW_ZEROS = 0.01  # share of the bytes; Chinese sheets in UTF-16 have 10 % and more
_TWO_BYTES = re.compile(rb"[\x81-\xfe][\x30-\xfe]")
_GB2312 = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")


class Decoded(NamedTuple):
    """A text and the encoding in which it was read."""

    text: str
    encoding: str


def decode(content: bytes) -> Iterator[Decoded]:
    r"""Yield the readings that the bytes allow, most likely first.

    A byte order mark decides. UTF-8 is taken where the bytes are valid, because other text hardly ever is. GB18030
    contains GBK and GB2312. Text of Windows-1252, such as a lone degree sign, is often valid GB18030 too: it is tried
    first unless every pair of bytes is a character of GB2312, the common ones.

    >>> [reading.encoding for reading in decode("温度".encode("gbk"))][0], next(decode(b"25 \xb0C")).encoding
    ('GB18030', 'Windows-1252')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            yield from _read(content, encoding, encoding.removesuffix("-sig").upper())
            return
    if encoding := _wide_without_mark(content):
        yield from _read(content, encoding, encoding.upper())
        return
    utf8 = list(_read(content, "utf-8", "UTF-8"))
    if utf8:
        yield from utf8
        return
    chinese, western = [("gb18030", "GB18030"), ("cp1252", "Windows-1252")]
    is_common = all(_GB2312.fullmatch(pair) for pair in _TWO_BYTES.findall(content))
    for encoding, name in (chinese, western) if is_common else (western, chinese):
        yield from _read(content, encoding, name)


def _read(content: bytes, encoding: str, name: str) -> Iterator[Decoded]:
    try:
        yield Decoded(content.decode(encoding), name)
    except UnicodeDecodeError:
        return


def _wide_without_mark(content: bytes) -> str:
    """UTF-16 without a mark: one byte of each Latin letter, digit and comma is zero.

    Other text has no zero bytes, or a few that a broken program left.
    """
    even, odd = content[:20_000:2].count(0), content[1:20_000:2].count(0)
    if abs(even - odd) <= _FEW_ZEROS * min(len(content), 20_000) or len(content) % 2:
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"
