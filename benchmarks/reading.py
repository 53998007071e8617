"""What reading photographs costs, and what converting their color profiles adds to it.

    python benchmarks/reading.py [--count 40] [--height 1024] [--width 1536] [--out FILE]

Photographs are drawn: smooth shapes with grain, as JPEG of quality 90 with the profile Display P3
(that of libvips). Each is read with its profile, and with its values as they are, in turns,
processor time of one thread: its pixels alone, and as a training step at `--size` sees it. `ratio`
is the one over the other. Prints one JSON line a row. Half a minute.
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyvips
import torch
import typer
from PIL import Image
from record import Record

from creps.data import open_images
from creps.data._batches import Pictures
from creps.training._batches import shown_picture
from creps.training._config import DataSettings


def photograph(height: int, width: int, seed: int, profile: bytes) -> bytes:
    """A JPEG file of smooth shapes with grain."""
    random = np.random.default_rng(seed)
    small = random.normal(0, 60, (height // 64, width // 64, 3)).astype(np.float32) + 128
    planes = [Image.fromarray(small[:, :, k]).resize((width, height), 3) for k in range(3)]
    pixels = np.stack([np.asarray(plane) for plane in planes], 2)
    pixels += random.normal(0, 4, (height, width, 1))
    buffer = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(buffer, "jpeg", quality=90, icc_profile=profile)
    return buffer.getvalue()


def main(
    count: Annotated[int, typer.Option(help="Photographs.")] = 40,
    height: Annotated[int, typer.Option(help="Of each, pixels.")] = 1024,
    width: Annotated[int, typer.Option(help="Of each, pixels.")] = 1536,
    size: Annotated[int, typer.Option(help="Training size, pixels a side.")] = 64,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure reading with and without conversion, in turns."""
    record = Record("reading", out)
    torch.set_num_threads(1)
    profile = bytes(pyvips.Operation.call("profile_load", "p3"))
    with tempfile.TemporaryDirectory() as folder:
        for k in range(count):
            (Path(folder) / f"{k}.jpg").write_bytes(photograph(height, width, k, profile))
        sources = [open_images(folder, keep_colors=keep) for keep in (False, True)]
        side = DataSettings().detail * size
        sets = [Pictures(each, size=side, mirror=False, labels=False) for each in sources]
        for part in ("pixels", "training"):
            spent = [0.0, 0.0]
            for index in range(-1, count):  # the first reading builds what is kept
                for which, (source, pictures) in enumerate(zip(sources, sets, strict=True)):
                    start = time.process_time()
                    if part == "pixels":
                        source.image(max(index, 0))
                    else:
                        shown_picture(pictures, max(index, 0), (size, size))
                    spent[which] += (time.process_time() - start) * (index >= 0)
            converted, plain = (1e3 * seconds / count for seconds in spent)
            head = {"part": part, "height": height, "width": width, "size": size, "count": count}
            row = {"ms_converted": round(converted, 1), "ms_plain": round(plain, 1)}
            record.write(head | row | {"ratio": round(converted / plain, 2)})


if __name__ == "__main__":
    typer.run(main)
