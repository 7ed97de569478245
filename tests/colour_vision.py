"""How colours look to people without cones of one kind, and how far apart two colours are."""

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""(colour, 3) float64: sRGB 0 to 255, linear RGB 0 to 1, or CIELAB, as named."""

TYPICAL = "typical"

# Machado, Oliveira and Fernandes 2009, severity 1.0, of linear RGB.
CONES: dict[str, Values] = {
    TYPICAL: np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}

# Of sRGB (IEC 61966-2-1), D65.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def seen(srgb: Iterable[tuple[int, int, int]], how: str = TYPICAL) -> Values:
    """Colours as somebody sees them, in CIELAB."""
    x = np.array(list(srgb), float) / 255
    rgb = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(rgb @ CONES[how].T, 0, 1) @ XYZ.T / XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


def nearest_pair(srgb: Iterable[tuple[int, int, int]], how: str) -> float:
    """The smallest CIEDE2000 between two of some colours."""
    lab = seen(srgb, how)
    return min(float(ciede2000(a, b)) for a, b in itertools.combinations(lab, 2))


def lightness_step(srgb: Iterable[tuple[int, int, int]]) -> float:
    """The smallest difference of lightness between two of some colours, as grey print has it."""
    return float(np.diff(np.sort(seen(srgb)[:, 0])).min())


def ciede2000(one: Values, other: Values) -> Values:
    """Colour difference of CIELAB (3,) values (CIE 142-2001; Sharma, Wu and Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(c7 / (c7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)
    turn = (h2 - h1 + np.pi) % (2 * np.pi) - np.pi if c1 * c2 else 0.0
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = h1 + turn / 2 if c1 * c2 else h1 + h2
    t = (
        1
        - 0.17 * np.cos(hue - np.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6))
        - 0.2 * np.cos(4 * hue - np.radians(63))
    )
    bent = np.exp(-(((np.degrees(hue) % 360 - 275) / 25) ** 2))
    rotation = -np.sin(np.radians(60) * bent) * 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / (1 + 0.015 * chroma * t)
    return np.asarray(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))
