#!/usr/bin/env bash
# safetensors: a process that is killed while it saves leaves a hidden file of its own beside the target.
#
# One would guess: save_file opens the name that it is given, so that only this file can be incomplete; who writes aside and
# renames cleans up by that name.
# What happens (safetensors 0.8.0): it writes to .tmpXXXXXX in the same folder and renames that, so that a kill leaves a
# hidden file of any size under a name that nobody knows, and none under the name that was given.
# Why it matters here: a snapshot was written by save_file to a name of ours; killed trainings left such files in
# their folder for good. Snapshots are made as bytes and written under our own name now (save_snapshot in
# src/creps/training/_state.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$place"
mkdir saved
"$place/venv/bin/python" - <<'PY'
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

print("safetensors", importlib.metadata.version("safetensors"))
save = """
import numpy as np
from safetensors.numpy import save_file

tensors = {"a": np.zeros(2**25, np.float32)}
print("ready", flush=True)
while True:
    save_file(tensors, "saved/model.safetensors.part")
"""
process = subprocess.Popen([sys.executable, "-c", save], stdout=subprocess.PIPE, text=True)
process.stdout.readline()
end = time.monotonic() + 120
left = []
while not left and time.monotonic() < end:
    os.kill(process.pid, signal.SIGSTOP)
    left = [path for path in Path("saved").iterdir() if path.name.startswith(".tmp")]
    if not left:  # it stood between two files
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.005)
process.kill()
process.wait()
left = [path.name for path in left if path.exists()]
print("left by a killed process:", [name[:4] + "XXXXXX" for name in left])
if not left:
    sys.exit("the behavior has changed: no file but the one that was named is there")
PY
