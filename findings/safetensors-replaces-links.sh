#!/usr/bin/env bash
# safetensors: save_file to a symbolic link replaces the link and leaves the file it points to as it was.
#
# One would guess: it opens the path and writes, through a link as open() does.
# What happens (safetensors 0.8.0): it writes a file of its own and renames it to the path. The link is gone, the
# target keeps its old bytes; a hard link to the old file is no longer one.
# Why it matters here: snapshots that a user has linked to another disk would silently move back. Snapshots are
# written to a temporary name beside the path first, and no test may save to a special file such as /dev/full: the
# rename would put an ordinary file in its place.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save_file

target, link = Path("target.safetensors"), Path("link.safetensors")
target.write_bytes(b"old")
link.symlink_to(target)
save_file({"x": np.zeros(3)}, str(link))
print("safetensors", safetensors.__version__, "still a link:", link.is_symlink(), "target:", target.read_bytes())
if link.is_symlink() or target.read_bytes() != b"old":
    sys.exit("the behavior has changed: links are written through now")
PY
