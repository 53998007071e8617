"""What the discriminator sees: one portrait under each group of augmentations, weak to strong."""

import torch
from PIL import Image, ImageDraw

import creps
from creps.rendering import to_uint8
from creps.training.augment import AugmentSettings, augment

SIZE, LEFT, TOP = 88, 72, 20  # pixels of a portrait, of the names and of the numbers
STRENGTHS = [0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0]
GROUPS = {
    "blits": ["flip", "rotate90", "translate"],
    "geometry": ["scale", "rotate", "aspect", "fraction"],
    "color": ["brightness", "contrast", "luma_flip", "hue", "saturation"],
}
names = [name for group in GROUPS.values() for name in group]

generator = creps.load("portraits")
styles = generator.map(creps.latents([7], generator), truncation=0.7)
with torch.no_grad():
    portrait = generator.synthesize(styles, creps.Canvas(SIZE, SIZE).grid())  # (1, 3, H, W)

rows = {}
for label, group in [*GROUPS.items(), ("all", names)]:
    switches = dict.fromkeys(names, 0.0) | dict.fromkeys(group, 1.0)
    settings = AugmentSettings(kind="ada", **switches)
    # Equal seeds: what happens at one strength happens at every higher one, too.
    draws = [torch.Generator().manual_seed(95841) for _ in STRENGTHS]
    rows[label] = [
        augment(portrait.expand(4, -1, -1, -1), strength, settings, generator=draw)[3]
        for strength, draw in zip(STRENGTHS, draws, strict=True)
    ]
settings = AugmentSettings(kind="diffaugment")
several = portrait.expand(len(STRENGTHS), -1, -1, -1)
rows["DiffAugment"] = augment(several, 1.0, settings, generator=torch.Generator().manual_seed(3))

sheet = Image.new("RGB", (LEFT + SIZE * len(STRENGTHS), TOP + SIZE * len(rows)), "white")
pen = ImageDraw.Draw(sheet)
for column, strength in enumerate(STRENGTHS):
    pen.text((LEFT + SIZE * column + 4, 4), f"p = {strength}", fill="black")
for row, (label, pictures) in enumerate(rows.items()):
    pen.text((4, TOP + SIZE * row + SIZE // 2 - 6), label, fill="black")
    for column, picture in enumerate(pictures):
        place = (LEFT + SIZE * column, TOP + SIZE * row)
        sheet.paste(Image.fromarray(to_uint8(picture)), place)
sheet.save("augmentation.png", optimize=True)
print(f"augmentation.png: {' / '.join(rows)}; DiffAugment has no strength")
