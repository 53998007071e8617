"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30)
"""Seconds: from a small tile to the largest answer on a slow core."""

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Telemetry:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "creps_requests", "Requests answered.", ["kind", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "creps_request_seconds",
            "From the request to the last byte.",
            ["kind"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._drawing = Histogram(
            "creps_draw_seconds",
            "Drawing and encoding an answer.",
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._cache = Counter(
            "creps_cache_lookups", "Answers looked for on disk.", ["found"], registry=self._registry
        )

    def answered(self, kind: str, status: int, *, seconds: float) -> None:
        """Count a request; `kind` is one of a few words, never a client's."""
        self._requests.labels(kind, str(status)).inc()
        self._seconds.labels(kind).observe(seconds)

    def cached(self, found: bool) -> None:
        """Count a look into the cache."""
        self._cache.labels(str(found).lower()).inc()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Measure the block."""
        with self._drawing.time():
            yield

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Report a value whenever it is asked for."""
        gauge = Gauge(f"creps_{name}", f"{meaning.capitalize()}.", registry=self._registry)
        gauge.set_function(value)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
