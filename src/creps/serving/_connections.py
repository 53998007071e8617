"""Connections that nobody can hold open for nothing: uvicorn's own, with bounds on their clients.

uvicorn closes connections that idle between two requests. Here a client must also send a request
that it has begun, and take the answer that it asked for, and has a bounded number of connections on
which it asks for nothing: half-open ones would shut everyone else out.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVAL = 10.0
"""Seconds within which a request must be there, from the opening of its connection."""

STANDSTILL = 6
"""Times ARRIVAL after which an answer that does not move on is given up."""

IDLE = 128
"""Connections of one client on which no request is under way; the oldest is closed for another."""


class BoundedConnection(H11Protocol):
    """One connection, from its beginning to its end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for it among those of its client, and keep an eye on it."""
        super().connection_made(transport)
        self._begun: float | None = self.loop.time()  # of the request that is coming in
        self._quiet_since = self.loop.time()
        self._unsent, self._still = 0, 0
        self._watch = self.loop.call_later(ARRIVAL, self._look)
        idle = [each for each in self._of_the_same_client() if each.idle]
        if len(idle) > IDLE:
            min(idle, key=lambda each: each._quiet_since).drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        """Note that it is idle again, unless another request is there already."""
        super().on_response_complete()
        self._quiet_since = self.loop.time()
        self._note()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._still = 0

    @property
    def idle(self) -> bool:
        """Whether it is open, and no request is under way."""
        asked = self.cycle is not None and not self.cycle.response_complete
        return not asked and not self.transport.is_closing()

    def drop(self) -> None:
        """End it now and throw away what the system still holds for a client that takes nothing."""
        opened = self.transport.get_extra_info("socket")
        inet = opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6)
        if inet and self.transport.get_write_buffer_size():
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _of_the_same_client(self) -> list[BoundedConnection]:
        host = self.client[0] if self.client else None
        return [
            each
            for each in self.connections
            if isinstance(each, BoundedConnection) and (each.client or (None,))[0] == host
        ]

    def _note(self) -> None:
        """Remember since when a request has been coming in; None while none is."""
        their_state: Any = self.conn.their_state
        begun = their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not begun and their_state is not h11.SEND_BODY:
            self._begun = None
        elif self._begun is None:
            self._begun = self.loop.time()

    def _look(self) -> None:
        """End a connection whose client neither sends what it began nor takes what it asked for."""
        late = self._begun is not None and self.loop.time() - self._begun >= ARRIVAL
        unsent = self.transport.get_write_buffer_size()
        self._still = self._still + 1 if unsent == self._unsent > 0 else 0
        if late or self._still >= STANDSTILL:
            self.drop()
            return
        self._unsent = unsent
        self._watch = self.loop.call_later(ARRIVAL, self._look)
