"""The open emoji artwork that mVAE is trained and judged on: packages, checksums, licences and credits.

Train sets are permissively licensed (Apache-2.0, MIT, CC-BY-4.0). Judge sets train only the independent judge, never a model of
the zoo; share-alike artwork is found among them alone. See ``CREDITS.md``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One npm package, pinned by version and by the sha512 that its registry records."""

    name: str
    version: str
    integrity: str


@dataclass(frozen=True)
class Source:
    """One drawing style."""

    style: str
    role: str
    """``train`` or ``judge``."""
    layout: str
    """``iconify`` (icons.json with SVG bodies) or ``webp`` (a folder of images named by code points)."""
    join: str
    """How a drawing finds its concept: ``chars`` (the package maps code points to icon names), ``flat`` (by the map of
    fluent-flat, which has the same names), ``slug`` (by name) or ``file`` (files are named by code points)."""
    licence: str
    credit: str
    package: Package


SOURCES = (
    Source(
        "noto", "train", "iconify", "chars", "Apache-2.0", "Noto Emoji, Google",
        Package("@iconify-json/noto", "1.2.9",
                "sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw=="),
    ),
    Source(
        "twemoji", "train", "iconify", "chars", "CC-BY-4.0", "Twemoji, Twitter, Inc and other contributors",
        Package("@iconify-json/twemoji", "1.2.5",
                "sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw=="),
    ),
    Source(
        "fluent", "train", "iconify", "flat", "MIT", "Fluent Emoji, Microsoft Corporation",
        Package("@iconify-json/fluent-emoji", "1.2.7",
                "sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA=="),
    ),
    Source(
        "fluent-flat", "train", "iconify", "chars", "MIT", "Fluent Emoji Flat, Microsoft Corporation",
        Package("@iconify-json/fluent-emoji-flat", "1.2.6",
                "sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw=="),
    ),
    Source(
        "fluent-3d", "train", "webp", "file", "MIT", "Fluent Emoji 3D, Microsoft Corporation, packaged by LobeHub",
        Package("@lobehub/fluent-emoji-3d", "1.1.0",
                "sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g=="),
    ),
    Source(
        "noto-v1", "judge", "iconify", "slug", "Apache-2.0", "Noto Emoji (v1, blobs), Google",
        Package("@iconify-json/noto-v1", "1.2.5",
                "sha512-/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA=="),
    ),
    Source(
        "emojione", "judge", "iconify", "slug", "CC-BY-4.0", "EmojiOne (Colored), EmojiOne",
        Package("@iconify-json/emojione", "1.2.3",
                "sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg=="),
    ),
    Source(
        "emojione-v1", "judge", "iconify", "slug", "CC-BY-SA-4.0", "EmojiOne v1 (Colored), EmojiOne",
        Package("@iconify-json/emojione-v1", "1.2.3",
                "sha512-UjI2VQEXVtGlPBvQuxEizro7QCgBcJDOYwKUupquvvZ8UV4xOlvm45IU82JYWegiAWLerY79gFLMZ26U6Ms+ww=="),
    ),
    Source(
        "fxemoji", "judge", "iconify", "slug", "CC-BY-4.0", "Firefox OS Emoji, Mozilla",
        Package("@iconify-json/fxemoji", "1.2.2",
                "sha512-UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ=="),
    ),
    Source(
        "streamline", "judge", "iconify", "slug", "CC-BY-4.0", "Streamline Emojis, Streamline",
        Package("@iconify-json/streamline-emojis", "1.2.4",
                "sha512-iNr9T9XuZVTyQPJO8ZlLxBzPkpi7qMl+z1l0C31vpEMqhPMelth3n7CeWQYtixdetDPdI81yeG4ROqjWpYJE6A=="),
    ),
    Source(
        "openmoji", "judge", "iconify", "chars", "CC-BY-SA-4.0", "OpenMoji, HfG Schwäbisch Gmünd",
        Package("@iconify-json/openmoji", "1.2.29",
                "sha512-vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ=="),
    ),
)

CAPTION_PACKAGES = (
    Package("emojibase-data", "17.0.0",
            "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA=="),
    Package("emojilib", "4.0.3",
            "sha512-KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g=="),
)
