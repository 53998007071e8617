"""Four portraits that flow into each other, and the weights that mix them in the second half."""

from PIL import Image

import creps
from creps.rendering import parse_blend

generator = creps.load("portraits")
styles = generator.map(creps.latents([7, 12, 3, 2], generator))  # (4, K, D)
field = parse_blend("panorama:overlap=0.6").field(styles)
window = (0.0, 0.0, 1.0, 4.0)  # four unit squares side by side
picture = Image.new("RGB", (384, 96))
for tile, pixels in creps.render_tiles(generator, styles=field, size=(96, 384), window=window):
    picture.paste(Image.fromarray(pixels), (tile.left, tile.top))  # any number of tiles, any sink
picture.save("panorama.png")
canvas = creps.Canvas(96, 384, window)
weights = field.weights_on(canvas.rows()[:1], canvas.columns())[:, 0]  # (4, 384), sums 1
print("panorama.png; styles 1 to 4 at the seam of the middle:", weights[:, 192].tolist())
