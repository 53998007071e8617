#!/usr/bin/env bash
# piq: the Frechet distance of a set of features to itself is not 0, and other distances come out percents too large.
#
# One would guess: FID() of equal sets is 0 up to rounding in float64, as of torchmetrics, torch-fidelity and clean-fid.
# What happens (piq 0.8.0): its matrix square root stops as soon as its square is right to 1e-5 of the Frobenius norm. What
# the many small variances of real features add to the trace is then still missing. With standard deviations that
# fall by e^6 over 64 features a set is 0.02 from itself, and 0.24 from another whose true distance is 0.22, however
# many samples there are.
# Why it matters here: numbers of one model by two programs differ by more than two models do. frechet_distance takes
# singular values of the data instead, no square root of a matrix (src/creps/metrics/_distances.py).
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps piq==0.8.0
cd "$place"
"$place/venv/bin/python" - <<'PY'
import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch

# The package opens torchvision for its networks, which its distances do not need.
package, networks = types.ModuleType("piq"), types.ModuleType("piq.feature_extractors")
package.__path__ = [str(Path(importlib.util.find_spec("piq").origin).parent)]
networks.InceptionV3 = None
sys.modules |= {"piq": package, "piq.feature_extractors": networks}
from piq.fid import FID

random = np.random.default_rng(0)
mixing = random.standard_normal((64, 64)) / 8 * np.exp(-6 * np.arange(64) / 64)


def true(a, b):
    """The distance with eigenvalues in float64: the root's trace is that of (C_a^1/2 C_b C_a^1/2)^1/2."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * overlap)


print("piq", importlib.metadata.version("piq"))
own = []
for count in (500, 5000, 50000):
    a = random.standard_normal((count, 64)) @ mixing
    b = random.standard_normal((count, 64)) @ mixing * 1.1 + 0.05
    itself, other = (float(FID()(torch.from_numpy(a), torch.from_numpy(x))) for x in (a, b))
    print(f"{count} samples: {itself:.4f} from itself (true: {true(a, a):.4f}), {other:.4f} from others (true: {true(a, b):.4f})")
    own.append(itself)
if min(own) < 0.01:
    sys.exit("the behavior has changed: equal sets are nearly 0 apart")
PY
