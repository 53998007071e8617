"""Nothing that is logged holds the token."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, quote_plus

HIDDEN = "..."

LOGGERS = ("uvicorn.access", "uvicorn.error", "uvicorn.asgi", "asyncio", "creps.serving")
"""What a server writes to."""

_GIVEN = re.compile(r"(?<=[?&]token=)[^&\s\"']+")
"""In an address; a wrong token may be a mistyped one."""


class TokenFilter(logging.Filter):
    """Replaces a token in messages, their arguments and tracebacks."""

    def __init__(self, token: str) -> None:
        super().__init__()
        words = {token, quote(token, safe=""), quote(token), quote_plus(token)}
        self._words = sorted(words, key=len, reverse=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenFilter) and self._words == other._words

    def __hash__(self) -> int:
        return hash(tuple(self._words))

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, without the token."""
        if isinstance(record.msg, str):
            record.msg = self._hidden(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(
                each if isinstance(each, int | float) else self._hidden(str(each))
                for each in record.args
            )
        if record.exc_info:
            record.exc_text = self._hidden(logging.Formatter().formatException(record.exc_info))
        return True

    def _hidden(self, text: str) -> str:
        for word in self._words:
            text = text.replace(word, HIDDEN)
        return _GIVEN.sub(HIDDEN, text)


def keep_out_of_logs(token: str) -> None:
    """Let none of the server's loggers write this token; from now on, in this process."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(TokenFilter(token))
