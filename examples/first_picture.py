"""One portrait of the packaged model: python examples/first_picture.py [SEED] [SIZE]"""

import sys

from PIL import Image

import creps

seed, size = (int(word) for word in (sys.argv[1:] + ["7", "512"][len(sys.argv) - 1 :]))
generator = creps.load("portraits")
picture = creps.render(generator, seed=seed, size=size)
Image.fromarray(picture).save(f"portrait-{seed}.png")
print(f"portrait-{seed}.png: {picture.shape[1]} x {picture.shape[0]} pixels")
