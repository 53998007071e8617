"""Four portraits that flow into each other, and the weights that mix them in the second half."""

from PIL import Image

import creps
from creps.rendering._blend_painter import FieldDrawer
from creps.rendering._blends import parse_blend
from creps.rendering._painter import to_uint8

generator = creps.load("portraits")
styles = generator.map(creps.latents([7, 12, 3, 2], generator))  # (4, K, D)
field = parse_blend("panorama:overlap=0.6").field(styles)
canvas = creps.Canvas(96, 384, (0.0, 0.0, 1.0, 4.0))  # four unit squares side by side
picture = Image.new("RGB", (canvas.width, canvas.height))
for tile, image in FieldDrawer(generator, field, canvas).tiles():  # any number of tiles, any sink
    picture.paste(Image.fromarray(to_uint8(image[0])), (tile.left, tile.top))
picture.save("panorama.png")
weights = field.weights_on(canvas.rows()[:1], canvas.columns())[:, 0]  # (4, 384), sums 1
print("panorama.png; styles 1 to 4 at the seam of the middle:", weights[:, 192].tolist())
