"""Physical degradations of clean photos; the physics happens in linear light.

A degradation takes a photo (H, W, 3), a random generator and, unless it is to be drawn, its
`strength` from 0 (mild) to 1 (severe); it returns the photo as a camera would have stored it,
(H, W, 3), or (H, W, 6) from a dual-pixel sensor. Its `margin` says how many pixels of the scene
around a crop shape what is seen in it.
"""

from ensrepro.degrade.defocus import Defocus
from ensrepro.degrade.light import Image, stored, to_linear, to_srgb
from ensrepro.degrade.motion import CameraShake
from ensrepro.degrade.noise import SensorNoise
from ensrepro.degrade.rain import Rain

Degradation = SensorNoise | Rain | CameraShake | Defocus

DEGRADATIONS: dict[str, Degradation] = {
    "denoise": SensorNoise(-1.3, -0.3),
    "white_noise": SensorNoise(-1.6, -0.6, mosaic=False),  # what a denoiser learns first
    "derain": Rain(density=(-3.3, -2.4), opacity=(0.1, 0.5), veil=0.1),
    "deblur": CameraShake(smallest=4, largest=12),
    "defocus": Defocus(smallest=2, largest=9),
    "defocus_dual": Defocus(smallest=2, largest=9, dual_pixel=True),
}

__all__ = [
    "DEGRADATIONS",
    "CameraShake",
    "Defocus",
    "Degradation",
    "Image",
    "Rain",
    "SensorNoise",
    "stored",
    "to_linear",
    "to_srgb",
]
