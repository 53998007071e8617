#!/usr/bin/env bash
# PyTorch on a CPU: the small filters of StyleGAN's upsampling are tens of times slower in bfloat16 than in float32.
#
# One would guess: where a processor has instructions for bfloat16, convolutions take half the time, or at worst as long.
# What happens (torch 2.13.0): dense convolutions take half the time, and so do depthwise ones, but a transposed
# depthwise convolution (one 4x4 filter a channel, stride 2) has no fast path in bfloat16. With the channels last, 48
# channels of 32x32, batch 16: 0.6 to 0.8 ms in float32, 23 ms in bfloat16; with the channels first 9 ms and 25 ms. Autocast
# chooses bfloat16 for all of them.
# Why it matters here: this is how a picture is upsampled by a low-pass filter, and the gradient of how it is
# downsampled. Training in bfloat16 on a CPU lost a seventh of its time there; such filters now stay in float32.
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
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def milliseconds(operation, *tensors):
    """Of processor time, the least of a few calls."""
    times = []
    for _ in range(8):
        started = time.process_time()
        operation(*tensors)
        times.append(1000 * (time.process_time() - started))
    return min(times[1:])


x = torch.randn(16, 48, 32, 32).contiguous(memory_format=torch.channels_last)
dense, filters = torch.randn(48, 48, 3, 3), torch.rand(48, 1, 4, 4)
ratios = {}
for name, operation, weights in (
    ("dense 3x3", lambda x, w: F.conv2d(x, w, padding=1), dense),
    ("depthwise 4x4", lambda x, w: F.conv2d(x, w, padding=2, groups=48), filters),
    ("transposed depthwise 4x4", lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, groups=48), filters),
):
    full = milliseconds(operation, x, weights)
    half = milliseconds(operation, x.bfloat16(), weights.bfloat16())
    ratios[name] = half / full
    print(f"{name}: {full:.2f} ms in float32, {half:.2f} ms in bfloat16")
print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
if ratios["transposed depthwise 4x4"] < 4:
    sys.exit("the behavior has changed: bfloat16 was tens of times slower")
PY
