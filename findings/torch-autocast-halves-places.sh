#!/usr/bin/env bash
# PyTorch: autocast makes bfloat16 of functions that are on none of its lists, such as affine_grid, cov and linalg.pinv.
#
# One would guess: places for grid_sample stay in float32 under autocast, as grid_sample is on its list for float32, and
# so do covariances and inverses: torch.cdist, linalg.inv, qr, svd and lstsq do.
# What happens (torch 2.13.0, CPU): they multiply matrices inside, and matmul is on the list for bfloat16. affine_grid
# gives bfloat16 places: of 1,024 columns of the identity 642 are left, of 4,096 some lie 3.5 pixels off; grid_sample then
# takes them as float32. cov, corrcoef, linalg.matrix_power and linalg.pinv are right to 2 or 3 digits.
# Why it matters here: augmentation and places of pixels run beside networks in half precision. Both turn autocast off
# (src/creps/training/augment/_augment.py), and places are computed in float64, which autocast leaves alone.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(0)
identity = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
samples = torch.randn(100, 8) @ torch.randn(8, 8)
square = torch.eye(8) + samples[:8] / 50
functions = {
    "affine_grid": lambda: F.affine_grid(identity, (1, 1, 2, 4096), align_corners=False),
    "cov": lambda: torch.cov(samples.T),
    "corrcoef": lambda: torch.corrcoef(samples.T),
    "pinv": lambda: torch.linalg.pinv(square),
    "matrix_power": lambda: torch.linalg.matrix_power(square, 3),
    "cdist": lambda: torch.cdist(samples, samples[:4]),
    "inv": lambda: torch.linalg.inv(square),
    "lstsq": lambda: torch.linalg.lstsq(square, samples[:8]).solution,
    "qr": lambda: torch.linalg.qr(samples).R,
}
print("torch", torch.__version__)
halved = set()
for name, function in functions.items():
    right = function()
    with torch.autocast("cpu", torch.bfloat16):
        found = function()
    error = float((found.float() - right).abs().max() / right.abs().max())
    print(f"{name}: {found.dtype}, off by {error:.1e} of the largest value")
    if found.dtype == torch.bfloat16:
        halved.add(name)
for columns in (1024, 4096):
    size = (1, 1, 2, columns)
    right = F.affine_grid(identity, size, align_corners=False)
    with torch.autocast("cpu", torch.bfloat16):
        places = F.affine_grid(identity, size, align_corners=False)
        sampled = F.grid_sample(torch.ones(size), places, align_corners=False)
    off = float((places.float() - right)[..., 0].abs().max()) * columns / 2
    left = len(places[0, 0, :, 0].unique())
    print(f"{left} of {columns} columns are left, {off:.2f} pixels off at most; grid_sample gives {sampled.dtype}")
if halved != {"affine_grid", "cov", "corrcoef", "pinv", "matrix_power"} or off < 1:
    sys.exit("the behavior has changed")
PY
