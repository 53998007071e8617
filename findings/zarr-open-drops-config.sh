#!/usr/bin/env bash
# zarr: `zarr.open_array(..., config=...)` of an array that exists takes the configuration and leaves it aside.
#
# One would guess: it counts as in `create_array`, or is refused. With `write_empty_chunks` every chunk that was written
# is then in the store, and one that is missing has not been written yet.
# What happens (zarr 3.1.6): nothing is said, and the array has the defaults. Chunks of the fill value, black or zero,
# are not written, and written ones are deleted by it. The same call by its other name, `zarr.open`, does what was said,
# and so do `array.with_config(...)`, which came with 3.1.6, and `zarr.config.set({"array.write_empty_chunks": True})`.
# Why it matters here: machines that share a picture find out from the chunks what is left to draw. Black ones would be
# drawn again by every machine, for ever (src/creps/rendering/output/_shared.py opens its arrays by `with_config`).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check zarr==3.1.6 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

import numpy as np
import zarr

WANTED = {"write_empty_chunks": True}


def made(name):
    """A new array of two chunks, one of them written."""
    array = zarr.create_array(name, shape=(8,), chunks=(4,), dtype="u1", fill_value=0)
    array[:4] = 7
    return name


def chunks(name):
    return sorted(path.name for path in Path(name, "c").iterdir())


def black(array, name):
    """The chunks in the store after all of the array was set to 0."""
    array[:] = np.zeros(8, "u1")
    print(f"{name}: write_empty_chunks {array.config.write_empty_chunks}, chunks {chunks(name)}")
    return chunks(name)


print("zarr", zarr.__version__)
opened = black(zarr.open_array(made("open_array"), mode="r+", config=WANTED), "open_array")
either = black(zarr.open(made("open"), mode="r+", config=WANTED), "open")
told = black(zarr.open_array(made("with_config"), mode="r+").with_config(WANTED), "with_config")
with zarr.config.set({"array.write_empty_chunks": True}):
    everywhere = black(zarr.open_array(made("everywhere"), mode="r+"), "everywhere")
if opened or not either == told == everywhere == ["0", "1"]:
    sys.exit("the behavior has changed: open_array and open agree")
PY
