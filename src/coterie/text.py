"""Text from elsewhere, such as the names of files, as it may be shown and written."""

from __future__ import annotations

import re

# What a terminal takes for a command, what turns the direction of reading round, and halves of a character, which stand
# for bytes of another encoding and which UTF-8 cannot hold.
_ACTING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


def printable(text: str) -> str:
    """Text of which nothing acts on a terminal and which UTF-8 can hold; the rest becomes backslash escapes."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode("ascii"), text)


def in_one_line(text: str) -> str:
    """`printable` text whose line breaks and tabs are escapes, too."""
    return printable(text).translate(_LINES)
