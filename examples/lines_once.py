"""The two halves of CREPS: compute the lines of a picture once, compose any part of it."""

import creps
from creps.rendering import to_uint8

generator = creps.load("portraits")
styles = generator.map(creps.latents([7], generator))
canvas = creps.Canvas(2048, 2048)
rows = generator.lines(styles, canvas.rows(768, 256), "rows")  # (1, L, N, 256, D)
columns = generator.lines(styles, canvas.columns(640, 256), "columns")
detail = generator.compose(rows, columns, styles)  # 256 x 256 pixels of the 2048 x 2048 picture
print("a detail of a 4-megapixel picture:", to_uint8(detail[0]).shape)
