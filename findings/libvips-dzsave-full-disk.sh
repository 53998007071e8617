#!/usr/bin/env bash
# libvips: a Deep Zoom image whose small tiles could not be written is reported as saved.
#
# One would guess: on a full disk dzsave raises, as jpegsave, pngsave, webpsave and tiffsave do.
# What happens (libvips 8.18.7, pyvips 3.2.0): tiles smaller than its write buffer are flushed when they are
# closed, and the failure of that flush is lost. dzsave returns normally and leaves tiles that are cut off.
# Why it matters here: `creps render --out x.dzi` must not call a picture finished that is not. So the writer looks
# for the end marker of the smallest tiles itself (src/creps/rendering/output/_flat.py).
#
# The full disk is a limit on the size of files (EFBIG). Installs pinned packages in a temporary folder; exits
# with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pyvips==3.2.0 pyvips-binary==8.18.7
cd "$place"
"$place/venv/bin/python" - <<'PY'
import resource
import signal
import sys
from pathlib import Path

import pyvips

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing beyond the limit is then an error, EFBIG
print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)))
image = pyvips.Image.gaussnoise(100, 100, mean=128, sigma=40).cast("uchar")


def outcome(save) -> str:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, most))
    try:
        save()
    except pyvips.Error:
        return "an error"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return "no error"


found = {
    "jpegsave": outcome(lambda: image.jpegsave("one.jpg")),
    "pngsave": outcome(lambda: image.pngsave("one.png")),
    "dzsave": outcome(lambda: image.dzsave("tiles", suffix=".jpg", tile_size=62)),
}
sizes = {path.stat().st_size for path in Path("tiles_files").rglob("*.jpg")}
print(found, "bytes of the tiles:", sizes)
expected = {"jpegsave": "an error", "pngsave": "an error", "dzsave": "no error"}
if found != expected or sizes != {64}:
    sys.exit("the behavior has changed: the check in creps may not be needed any more")
PY
