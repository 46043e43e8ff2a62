"""Drawn places within or along walls."""

import numpy as np
from PIL import Image, ImageDraw

from pvchat.synthesis.brush import PX, Colour, Rng, noise, shade, tint
from pvchat.synthesis.brush import image as to_image


def brick_wall(rng: Rng) -> Image.Image:
    mortar = tint(rng, (196, 186, 174), 8)
    brick = tint(rng, (164, 74, 52), 14)
    image = Image.new("RGB", (PX, PX), mortar)
    draw = ImageDraw.Draw(image)
    height = int(rng.integers(26, 36))
    width = height * 2.4
    for row in range(PX // height + 2):
        for column in range(-1, int(PX / width) + 2):
            x = column * width + (row % 2) * width / 2
            colour = shade(tint(rng, brick, 6), rng.uniform(0.8, 1.16))
            draw.rectangle((x, row * height, x + width - 5, row * height + height - 5), colour)
            draw.line((x, row * height, x + width - 5, row * height), shade(colour, 1.2), 2)
    light = np.linspace(1.12, 0.78, PX)[None, :, None] + 0.04 * noise(rng, 120)[..., None]
    return to_image(np.asarray(image, float) * light + 6 * noise(rng, 3)[..., None])


def bookshelf(rng: Rng) -> Image.Image:
    wood = tint(rng, (112, 72, 42), 10)
    image = Image.new("RGB", (PX, PX), shade(wood, 0.45))
    draw = ImageDraw.Draw(image)
    shelf = int(rng.integers(100, 130))
    palette: list[Colour] = [
        (150, 40, 40),
        (40, 70, 120),
        (60, 110, 70),
        (200, 170, 90),
        (90, 60, 110),
        (220, 214, 200),
        (190, 110, 50),
        (50, 50, 56),
    ]
    for top in range(-int(rng.integers(0, 60)), PX, shelf):
        x = 0.0
        while x < PX:
            if rng.random() < 0.06:
                x += rng.uniform(14, 40)
                continue
            width, tall = rng.uniform(11, 27), shelf * rng.uniform(0.62, 0.86)
            colour = tint(rng, palette[rng.integers(len(palette))], 10)
            y = top + shelf - 12 - tall
            draw.rectangle((x, y, x + width - 2, top + shelf - 12), colour)
            draw.line((x + 1, y, x + 1, top + shelf - 12), shade(colour, 1.35), 3)
            band = shade(colour, 0.6) if sum(colour) > 330 else (214, 186, 110)
            for at in (0.14, 0.8):
                draw.rectangle((x + 3, y + tall * at, x + width - 5, y + tall * at + 4), band)
            x += width
        draw.rectangle((0, top + shelf - 12, PX, top + shelf), wood)
        draw.line((0, top + shelf - 12, PX, top + shelf - 12), shade(wood, 1.4), 3)
    for x in (rng.uniform(-30, 60), rng.uniform(PX - 60, PX + 20)):
        draw.rectangle((x, 0, x + 18, PX), shade(wood, 1.1))
    return to_image(np.asarray(image, float) * (1 + 0.08 * noise(rng, 160)[..., None]))


def kitchen(rng: Rng) -> Image.Image:
    tile = tint(rng, (212, 230, 228), 10)
    accent = [(70, 150, 160), (220, 150, 70), (120, 150, 80), (90, 110, 170)][rng.integers(4)]
    image = Image.new("RGB", (PX, PX), (160, 166, 164))
    draw = ImageDraw.Draw(image)
    size = int(rng.integers(44, 58))
    for y in range(0, PX, size):
        for x in range(0, PX, size):
            colour = accent if rng.random() < 0.1 else shade(tile, rng.uniform(0.93, 1.05))
            draw.rectangle((x, y, x + size - 4, y + size - 4), colour)
            draw.polygon(
                [(x + 4, y + 4), (x + size * 0.5, y + 4), (x + 4, y + size * 0.5)], shade(colour, 1.08)
            )
    cupboard = tint(rng, (236, 224, 202), 8)
    draw.rectangle((0, 0, PX, 84), cupboard)
    for x in range(int(rng.integers(-80, 0)), PX, 128):
        draw.rectangle((x, 6, x + 120, 76), outline=shade(cupboard, 0.8), width=3)
        draw.ellipse((x + 56, 60, x + 64, 68), (120, 120, 120))
    counter = int(PX * rng.uniform(0.76, 0.82))
    draw.rectangle((0, counter, PX, PX), shade(cupboard, 0.9))
    draw.rectangle((0, counter - 14, PX, counter + 6), (98, 80, 68))
    shelf = int(rng.uniform(0.34, 0.4) * PX)
    draw.line((10, shelf, 120, shelf), (120, 92, 66), 8)
    for i in range(3):
        pot = tint(rng, [(190, 70, 50), (60, 110, 150), (222, 180, 80)][i], 14)
        draw.rounded_rectangle((18 + i * 34, shelf - 34, 42 + i * 34, shelf - 5), 6, pot)
    x = int(rng.uniform(0.72, 0.84) * PX)
    draw.rounded_rectangle((x, counter - 66, x + 74, counter - 14), 10, (176, 180, 186))
    draw.rectangle((x + 74, counter - 52, x + 100, counter - 46), (60, 60, 60))
    return to_image(np.asarray(image, float) * (1 + 0.05 * noise(rng, 140)[..., None]))


def stage(rng: Rng) -> Image.Image:
    cloth = np.array([(150, 18, 30), (130, 20, 70), (110, 16, 24)][rng.integers(3)], float)
    x = np.arange(PX)
    folds = np.sin(x / rng.uniform(7, 11) + 1.4 * np.sin(x / 41 + rng.uniform(0, 6)))
    pixels = np.broadcast_to((cloth * (0.72 + 0.34 * folds[:, None]))[None], (PX, PX, 3)).copy()
    floor = int(PX * rng.uniform(0.8, 0.86))
    boards = np.array([118, 82, 52]) * (0.8 + 0.2 * (np.arange(PX) % 56 > 3))[:, None]
    pixels[floor:] = boards[None]
    pixels[:40] = cloth * 0.5 * (0.9 + 0.3 * np.abs(np.sin(x / 24)))[:, None]
    rows, columns = np.mgrid[0:PX, 0:PX] / PX
    light = np.full((PX, PX), 0.42)
    for _ in range(2):
        top, foot = rng.uniform(0, 1), rng.uniform(0.25, 0.75)
        beam = np.abs(columns - (top + (foot - top) * rows)) / (0.05 + 0.26 * rows)
        light += 0.5 * np.exp(-(beam**4))
    return to_image(
        pixels * light[..., None] + 34 * np.clip(light - 0.5, 0, 1)[..., None] * np.array([1, 0.95, 0.7])
    )


def classroom(rng: Rng) -> Image.Image:
    image = Image.new("RGB", (PX, PX), tint(rng, (226, 212, 180), 8))
    draw = ImageDraw.Draw(image)
    board = tint(rng, (38, 84, 66), 6)
    top, foot = int(PX * rng.uniform(0.08, 0.14)), int(PX * rng.uniform(0.66, 0.72))
    draw.rectangle((14, top, PX - 14, foot), (146, 104, 62))
    draw.rectangle((26, top + 12, PX - 26, foot - 12), board)
    chalk = np.asarray(image, float)
    chalk[top + 12 : foot - 12, 26:-26] += (
        9 * np.clip(noise(rng, 50, 2), -1, 2)[top + 12 : foot - 12, 26:-26, None]
    )
    image = to_image(chalk)
    draw = ImageDraw.Draw(image)
    for row in range(5):
        y = top + 36 + row * 48
        for left, right in ((44, 44 + rng.uniform(60, 110)), (PX - rng.uniform(120, 160), PX - 44)):
            x = float(left)
            while x < right:  # scribbled words
                width = rng.uniform(14, 30)
                points = [(x + width * t / 5, y + rng.normal(0, 5)) for t in range(6)]
                draw.line(points, (226, 232, 226), 3, joint="curve")
                x += width + 9
    x = rng.uniform(60, PX - 120)
    draw.polygon([(x, top + 110), (x + 64, top + 110), (x + 32, top + 56)], outline=(236, 214, 130), width=3)
    draw.rectangle((14, foot, PX - 14, foot + 8), (120, 84, 50))
    draw.rectangle((0, int(PX * 0.86), PX, PX), tint(rng, (150, 112, 72), 8))
    return image
