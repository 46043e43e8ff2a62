"""Drawn places under the sky."""

import numpy as np
from PIL import Image, ImageDraw

from pvchat.synthesis.brush import PX, Colour, Rng, gradient, noise, ridge, shade, tint
from pvchat.synthesis.brush import image as to_image


def beach(rng: Rng) -> Image.Image:
    horizon = rng.uniform(0.36, 0.46)
    shore = horizon + rng.uniform(0.17, 0.26)
    sky = tint(rng, (92, 164, 226))
    pixels = gradient(
        (0, sky),
        (horizon, (214, 234, 246)),
        (horizon + 0.002, (24, 110, 160)),
        (shore, (92, 196, 196)),
        (1, (90, 190, 190)),
    )
    clouds = np.clip(noise(rng, 60, 2.5) - 0.5, 0, 1.2)[..., None]
    above = (np.arange(PX) < horizon * PX - 8)[:, None, None]
    pixels += above * clouds * (250 - pixels) * 0.7
    sea = ((np.arange(PX) > horizon * PX) & (np.arange(PX) < shore * PX + 30))[:, None, None]
    pixels += sea * np.clip(noise(rng, 7, 8) - 1, 0, 2)[..., None] * 45
    rows, columns = np.mgrid[0:PX, 0:PX] / PX
    edge = shore + 0.02 * np.sin(columns * rng.uniform(7, 12) + rng.uniform(0, 6)) + 0.06 * (columns - 0.5)
    sand = (
        np.array(tint(rng, (232, 208, 158), 6)) + 7 * noise(rng, 3)[..., None] + 6 * noise(rng, 30)[..., None]
    )
    wet = np.clip((rows - edge) / 0.06, 0, 1)[..., None]
    pixels = np.where((rows > edge)[..., None], sand * (0.78 + 0.22 * wet), pixels)
    foam = np.exp(-(((rows - edge) / 0.008) ** 2))[..., None]
    return to_image(pixels * (1 - foam * 0.85) + 250 * foam * 0.85)


def forest(rng: Rng) -> Image.Image:
    green = tint(rng, (88, 132, 62))
    image = to_image(gradient((0, (196, 216, 150)), (0.45, green), (0.75, (66, 88, 40)), (1, (62, 62, 32))))
    draw = ImageDraw.Draw(image)
    for depth in np.linspace(0.15, 1, 5):
        bark = shade(tint(rng, (92, 66, 46), 6), 1.35 - 0.6 * depth)
        for _ in range(int(8 - 4 * depth)):
            x, width = rng.uniform(-20, PX + 20), 8 + 40 * depth * rng.uniform(0.6, 1.1)
            foot, lean = PX * (0.62 + 0.36 * depth), rng.normal(0, 12)
            draw.polygon(
                [
                    (x + lean, 0),
                    (x + lean + width * 0.8, 0),
                    (x + width * 1.15, foot),
                    (x - width * 0.15, foot),
                ],
                bark,
            )
            draw.polygon(
                [
                    (x + lean, 0),
                    (x + lean + width * 0.25, 0),
                    (x + width * 0.25, foot),
                    (x - width * 0.15, foot),
                ],
                shade(bark, 1.25),
            )
        for _ in range(90):
            x, y = rng.uniform(0, PX), rng.normal(PX * (0.05 + 0.12 * depth), 40)
            r = rng.uniform(6, 16 + 16 * depth)
            leaf = shade(tint(rng, green, 16), 1.45 - 0.8 * depth + rng.uniform(-0.1, 0.2))
            draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), leaf)
            y = PX * (0.66 + 0.36 * depth) + rng.normal(0, 14)
            draw.ellipse((x - r * 1.4, y - r * 0.5, x + r * 1.4, y + r), shade(leaf, 0.8))
    rays = np.clip(noise(rng, 130), 0, 2)[..., None] * np.linspace(1, 0, PX)[:, None, None]
    return to_image(np.asarray(image, float) + rays * np.array([26, 26, 10]))


def city_night(rng: Rng) -> Image.Image:
    glow = tint(rng, (84, 52, 108), 14)
    image = to_image(gradient((0, (10, 12, 36)), (0.6, glow), (1, (34, 24, 50))))
    draw = ImageDraw.Draw(image)
    for depth in (0.35, 0.7, 1.0):
        x = rng.uniform(-30, 0)
        wall: Colour = shade((34, 36, 62), 1.7 - depth)
        while x < PX:
            width, top = rng.uniform(46, 92), PX * rng.uniform(0.12, 0.5) * (0.6 + 0.6 * depth)
            draw.rectangle((x, top, x + width - 3, PX), wall)
            step = 9 + 6 * depth
            for wx in np.arange(x + 6, x + width - 10, step):
                for wy in np.arange(top + 8, PX * 0.94, step * 1.25):
                    if rng.random() < 0.42:
                        lit = [(255, 214, 120), (255, 236, 180), (170, 210, 255)][rng.integers(3)]
                        draw.rectangle(
                            (wx, wy, wx + step * 0.5, wy + step * 0.7), shade(lit, rng.uniform(0.5, 1))
                        )
            x += width
    pixels = np.asarray(image, float)
    lights = np.zeros_like(pixels)
    for _ in range(26):
        x, y, r = rng.uniform(0, PX), rng.uniform(0.5, 1) * PX, rng.uniform(6, 20)
        rows, columns = np.ogrid[0:PX, 0:PX]
        spot = (rows - y) ** 2 + (columns - x) ** 2 < r * r
        lights[spot] += (
            np.array([(255, 120, 60), (255, 210, 90), (90, 170, 255), (255, 70, 90)][rng.integers(4)]) * 0.45
        )
    return to_image(pixels + lights)


def snow(rng: Rng) -> Image.Image:
    image = to_image(gradient((0, tint(rng, (150, 178, 206))), (0.5, (216, 228, 238)), (1, (240, 244, 250))))
    draw = ImageDraw.Draw(image)
    draw.polygon(ridge(rng, PX * 0.52, 60, 5), (222, 230, 242))
    for depth in (0.4, 0.7, 1.0):
        for _ in range(int(9 - 4 * depth)):
            x, foot, tall = (
                rng.uniform(0, PX),
                PX * (0.5 + 0.2 * depth) + rng.normal(0, 8),
                190 * depth * rng.uniform(0.7, 1.1),
            )
            draw.rectangle((x - 4 * depth, foot - 10, x + 4 * depth, foot + 8), (84, 66, 56))
            for k in range(4):
                y, half = foot - tall * k * 0.22, tall * 0.24 * (1 - k * 0.2)
                dark = shade((48, 84, 74), 1.5 - 0.5 * depth)
                draw.polygon([(x - half, y), (x + half, y), (x, y - tall * 0.36)], dark)
                draw.polygon(
                    [
                        (x - half * 0.5, y - tall * 0.16),
                        (x + half * 0.5, y - tall * 0.16),
                        (x, y - tall * 0.36),
                    ],
                    (240, 245, 250),
                )
    draw.polygon(ridge(rng, PX * 0.78, 40, 4), (246, 249, 253))
    for _ in range(190):
        x, y, r = rng.uniform(0, PX), rng.uniform(0, PX), rng.uniform(1.5, 4.5)
        draw.ellipse((x - r, y - r, x + r, y + r), (255, 255, 255))
    return image


def mountains(rng: Rng) -> Image.Image:
    image = to_image(gradient((0, tint(rng, (84, 140, 208))), (0.55, (232, 226, 214)), (1, (232, 226, 214))))
    draw = ImageDraw.Draw(image)
    for base, height, colour in (
        (0.4, 110, (150, 166, 192)),
        (0.52, 120, (104, 124, 150)),
        (0.66, 90, (76, 100, 96)),
    ):
        peaks = np.sort(rng.uniform(-0.1, 1.1, 6)) * PX
        rock = tint(rng, colour, 7)
        for x in peaks:
            tall, half = height * rng.uniform(0.8, 1.5), rng.uniform(80, 140)
            top = (x, PX * base - tall)
            draw.polygon(
                [
                    (x - half, PX),
                    (x - half, PX * base + 30),
                    top,
                    (x + half, PX * base + 30),
                    (x + half, PX),
                ],
                rock,
            )
            draw.polygon(
                [
                    top,
                    (x + half, PX * base + 30),
                    (x + half * 0.2, PX * base + 30),
                    (x + half * 0.1, top[1] + tall * 0.5),
                ],
                shade(rock, 0.82),
            )
            if base < 0.6:
                k = 0.3
                draw.polygon(
                    [
                        top,
                        (x - half * k, top[1] + tall * k),
                        (x - half * 0.08, top[1] + tall * k * 0.7),
                        (x + half * 0.05, top[1] + tall * k * 1.1),
                        (x + half * k, top[1] + tall * k),
                    ],
                    (244, 247, 252),
                )
    draw.polygon(ridge(rng, PX * 0.82, 34, 5), tint(rng, (92, 130, 66), 8))
    return image


def desert(rng: Rng) -> Image.Image:
    image = to_image(gradient((0, tint(rng, (236, 148, 84))), (0.5, (250, 222, 160)), (1, (250, 222, 160))))
    draw = ImageDraw.Draw(image)
    x, y = rng.uniform(0.12, 0.3) * PX, rng.uniform(0.14, 0.28) * PX
    draw.ellipse((x - 34, y - 34, x + 34, y + 34), (255, 246, 214))
    for i, base in enumerate((0.52, 0.64, 0.78)):
        dune = shade(tint(rng, (226, 164, 92), 5), 1.04 - 0.1 * i)
        draw.polygon(ridge(rng, PX * base, 56, 3), dune)
    for at in (rng.uniform(0.02, 0.2), rng.uniform(0.78, 0.94)):
        x, foot, tall = at * PX, PX * rng.uniform(0.72, 0.86), rng.uniform(110, 170)
        green = tint(rng, (64, 104, 62), 6)
        draw.rounded_rectangle((x - 13, foot - tall, x + 13, foot), 13, green)
        for side, up in ((-1, 0.45), (1, 0.6)):
            draw.rounded_rectangle(
                (min(x, x + side * 44), foot - tall * up, max(x, x + side * 44), foot - tall * up + 18),
                9,
                green,
            )
            draw.rounded_rectangle(
                (x + side * 44 - 9, foot - tall * (up + 0.32), x + side * 44 + 9, foot - tall * up + 18),
                9,
                green,
            )
    return to_image(np.asarray(image, float) + 4 * noise(rng, 4, 3)[..., None])


def meadow(rng: Rng) -> Image.Image:
    horizon = rng.uniform(0.4, 0.5)
    pixels = gradient(
        (0, tint(rng, (104, 176, 236))),
        (horizon, (222, 238, 246)),
        (horizon + 0.01, (150, 190, 86)),
        (1, (70, 132, 48)),
    )
    above = (np.arange(PX) < horizon * PX)[:, None, None]
    pixels += above * np.clip(noise(rng, 70, 2) - 0.4, 0, 1)[..., None] * (252 - pixels) * 0.85
    image = to_image(pixels + ~above * 8 * noise(rng, 6)[..., None])
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        x, r = rng.uniform(0, PX), rng.uniform(14, 34)
        draw.ellipse((x - r, horizon * PX - r, x + r, horizon * PX + r * 0.3), tint(rng, (76, 128, 62), 8))
    petals: list[Colour] = [(240, 220, 70), (230, 90, 110), (246, 246, 250), (190, 110, 210), (240, 120, 50)]
    for depth in np.sort(rng.uniform(0.04, 1, 260)):
        x, y, r = rng.uniform(0, PX), PX * (horizon + (1 - horizon) * depth), 2 + 9 * depth
        colour = petals[rng.integers(len(petals))]
        for angle in np.arange(5) * 1.2566:
            cx, cy = x + r * 0.7 * np.cos(angle), y + r * 0.6 * np.sin(angle)
            draw.ellipse((cx - r * 0.55, cy - r * 0.5, cx + r * 0.55, cy + r * 0.5), colour)
        draw.ellipse((x - r * 0.4, y - r * 0.4, x + r * 0.4, y + r * 0.4), (250, 200, 60))
    return image
