"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30)
"""Seconds: from a small tile to the largest answer on a slow core."""


class Telemetry:
    """Counters of one server, in its own registry.

    Attributes:
        requests, seconds: answers, by kind (one of a few words, never a client's) and status.
        drawing: seconds of drawing and encoding.
        lookups: of the cache.
    """

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter(
            "creps_requests", "Requests answered.", ["kind", "status"], registry=own
        )
        self.seconds = Histogram(
            "creps_request_seconds",
            "From the request to the last byte.",
            ["kind"],
            buckets=BUCKETS,
            registry=own,
        )
        self.drawing = Histogram(
            "creps_draw_seconds", "Drawing and encoding an answer.", buckets=BUCKETS, registry=own
        )
        self.lookups = Counter(
            "creps_cache_lookups", "Lookups of answers on disk.", ["found"], registry=own
        )

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Report a value on request."""
        Gauge(f"creps_{name}", meaning, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
