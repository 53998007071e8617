"""Requests that nobody should send, as bytes: half are nearly right, some make sense by chance."""

from __future__ import annotations

import json
import random
from typing import Any


def nonsense(draw: random.Random, model: str, *, header: str = "") -> bytes:
    """A whole request; `header` is a line of all of them, such as a token's.

    Example:
        >>> nonsense(random.Random(1), "portraits")[:5]
        b'GET /'
    """
    if draw.random() < 0.02:
        return f"{_word(draw)} {_word(draw)}\r\n\r\n\r\n\r\n".encode("latin-1", "replace")
    path = (_nearly_right if draw.random() < 0.5 else _random_path)(draw, model)
    method = draw.choice(("GET",) * 8 + ("POST", "DELETE", "HEAD", "OPTIONS"))
    body = b""
    if method == "POST":
        body, path = hostile_body(draw), draw.choice(("/api/jobs", path))
    lines = [
        f"{method} {path.replace(' ', '+')} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
    ]
    if draw.random() < 0.2:
        name = draw.choice(("If-None-Match", "Range", "Cookie", "Accept", "Authorization", "X"))
        lines.append(f"{name}: {_word(draw)}")
    lines += [header] if header else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def hostile_body(draw: random.Random) -> bytes:
    """A body for a job that is none, but for rare accidents."""
    depth = draw.choice((1, 50, 3000, 8000))
    values: tuple[Any, ...] = (-1, 0, 10**12, 1.5, "x" * 3000, None, True, [], {}, [0, 0, 1, 1])
    words = ("id", "window", "height", "width", "rotation", "mirror", "format", "\x1b[31m")
    whole = {word: draw.choice(values) for word in draw.sample(words, 4)}
    kinds = (
        lambda: b"[" * depth,
        lambda: b'{"id": ' + b"[" * depth + b"]" * depth + b"}",
        lambda: b'{"height": ' + b"9" * depth + b"}",
        lambda: b'{"rotation": ' + draw.choice((b"NaN", b"-Infinity", b"1e999")) + b"}",
        lambda: bytes(draw.randrange(256) for _ in range(draw.randrange(60))),
        lambda: json.dumps(whole).encode(),
        lambda: json.dumps(whole).encode()[: draw.randrange(30)],
    )
    return draw.choice(kinds)()


def _word(draw: random.Random) -> str:
    """Anything."""
    kinds = (
        lambda: str(draw.randrange(-5, 400)),
        lambda: str(draw.choice((-1, 1)) * 10 ** draw.randrange(0, 30)),
        lambda: "".join(chr(draw.randrange(33, 127)) for _ in range(draw.randrange(12))),
        lambda: draw.choice(("nan", "..", "%2e%2e%2f", "%00", "full", "max", "^max", "pct:9,9")),
        lambda: draw.choice(("%1b%5b31m", "%0d%0aX:%20y", "%e2%80%ae", "%ff", "\xe9", "%ud800")),
        lambda: ",".join(str(draw.randrange(-9, 600)) for _ in range(draw.randrange(1, 5))),
    )
    return draw.choice(kinds)()


def _random_path(draw: random.Random, model: str) -> str:
    """An address of random words."""
    picture = draw.choice((f"{model}:{draw.randrange(40)}", f"{model}:{_word(draw)}", _word(draw)))
    picture += "".join(f";{draw.choice('tkcwx')}={_word(draw)}" for _ in range(draw.randrange(3)))
    room = draw.choice(("iiif", "plane", "dzi", "view", "zarr", "api", "static", _word(draw)))
    words = {"iiif": 4, "plane": 2, "dzi": 2, "zarr": 5, "view": 0}.get(room, draw.randrange(4))
    tail = draw.choice(
        (".jpg", "/default.jpg", ".dzi", "/info.json", "", f"?{_word(draw)}={_word(draw)}")
    )
    return "/".join([f"/{room}/{picture}", *(_word(draw) for _ in range(words))]) + tail


def _nearly_right(draw: random.Random, model: str) -> str:
    """An address of a small picture, most often with one wrong part; every picture is a new one."""
    seed, level = draw.randrange(2**33), draw.randrange(12)
    region, angle = draw.choice(("full", "pct:9,9,20,30")), str(draw.randrange(400))
    side, last = f"{draw.randrange(1, 120)},", f"default.{draw.choice(('jpg', 'png', 'webp'))}"
    parts = draw.choice(
        (
            ("iiif", f"{model}:{seed}", region, side, angle, last),
            ("plane", f"{model}:{seed};t=0.{level}", str(level), f"{level}_-1.jpg"),
            ("dzi", f"{model}:{seed}_files", "8", "0_0.jpg"),
            ("zarr", f"{model}:{seed}", "9", "c", "0", "0", "0"),
            ("view", f"{model}:{seed}?height={level}&width=30&rotation={seed % 400}"),
        )
    )
    wrong = draw.randrange(-1, len(parts))  # -1: nothing
    return "/" + "/".join(_word(draw) if k == wrong else part for k, part in enumerate(parts))
