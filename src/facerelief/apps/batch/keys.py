"""What photos are called: a relative path in UTF-8 that any file system below OUT can hold."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 180  # bytes of a part of a path: a name has 255, and endings follow
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff%\\:*?"<>|]')


def safe(path: str) -> str:
    """The key of a `path`, which may be anything: it leads nowhere but below.

    Roots and empty parts are left out. What not every file system takes is written in hexadecimal
    digits behind a %, and so are `.` and `..`; parts that are too long end in a digest instead.
    """
    parts = [_part(part) for part in path.split("/") if part]
    return "/".join(parts) or "%"


def digest(text: str) -> int:
    """64 bits of a text: to remember those takes a fraction of the memory."""
    return int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True
    )


def _part(part: str) -> str:
    if part.strip(".") == "":
        return part.replace(".", "%2E")
    escaped = _UNSAFE.sub(_in_digits, part)
    if len(escaped.encode()) <= _LONGEST:
        return escaped
    ending = "%" + hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return escaped.encode()[: _LONGEST - 20].decode(errors="ignore") + ending


def _in_digits(match: re.Match[str]) -> str:
    char = match[0]
    if "\udc80" <= char <= "\udcff":  # a byte of a name that is no text
        return f"%{ord(char) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
