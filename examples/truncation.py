"""From the average portrait to one of its own: the truncation trick, in tensors."""

import torch
from PIL import Image

import creps
from creps.rendering import to_uint8

generator = creps.load("portraits")
z = creps.latents([7], generator)  # (1, Z), the field's seed 7
grid = creps.Canvas(128, 96).grid()  # 128 rows and 96 columns: H and W need not be equal
pictures = []
for truncation in (0.0, 0.33, 0.67, 1.0):
    styles = generator.map(z, truncation=truncation)  # (1, K, D)
    pictures.append(generator.synthesize(styles, grid)[0])  # (3, 128, 96), nominally in [-1, 1]
Image.fromarray(to_uint8(torch.cat(pictures, dim=2))).save("truncation.png")
print("truncation.png: average to individual, left to right")
