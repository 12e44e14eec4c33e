"""What there is to watch: channels and videos with names as people write them, in Zipf's popularity. Pure, seeded."""

from __future__ import annotations

import bisect
import itertools
import random
from dataclasses import dataclass
from typing import Final

#: Names that have broken pipelines before: scripts, quotes, separators, markup, every sort of line end, lengths.
AWKWARD_NAMES: Final = (
    "Кино и книги",
    "日本の料理チャンネル",
    "قناة العلوم",
    "ערוץ המדע",
    "हिन्दी समाचार",
    "한국 여행",
    "Ünïcödé & Söhne",
    'He said "play"',
    "it's a 'channel'",
    "a|b|c",
    "<b>bold</b><script>x</script>",
    "👩‍🚀 Space 🚀 Mom",
    "line\u2028separator\u2029paragraph",
    "next\x85line\x0bvertical\x0cfeed",
    "tab\there, new\nline, return\rtoo",
    "null\x00inside",
    "=HYPERLINK(1+1)",
    "back\\slash/../..",
    " leading and trailing ",
    "comma, semicolon; colon: %s {0} $1",
    "e\u0301 is not \u00e9",
    "\u202eright to left\u202c",
    "N" * 256,
    "長" * 256,
    "🦉" * 256,
    "null",
    "0",
)
#: Video ids beside the usual eleven characters; the contract allows any text up to 128 code points.
AWKWARD_VIDEO_IDS: Final = ("a|b", '"quoted"', "<i>x</i>", "видео", "2026-01-01|video|x|3", "v" * 128, "a\u2028b", "0")
_VIDEOS: Final = 2_000
_CHANNELS: Final = 300
_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_WORDS: Final = ("blue", "daily", "lab", "north", "studio", "cook", "garden", "rail", "chess", "radio", "lens", "peak")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the extension reads it from a page."""

    name: str
    handle: str
    channel_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Video:
    """A video and the channel that it belongs to."""

    video_id: str
    channel: Channel
    url: str


class Catalogue:
    """Videos of many channels; `pick` draws one, popular ones far more often."""

    def __init__(self, seed: int) -> None:
        """Draw videos and their channels; the same seed gives the same catalogue."""
        rng = random.Random(f"catalogue {seed}")  # noqa: S311 - simulation, no secrets
        owners = [_channel(rng, number) for number in range(_CHANNELS)]
        rng.shuffle(owners)
        owner_weights = _zipf(_CHANNELS)
        self.videos: Final = [
            _video(rng, number, rng.choices(owners, cum_weights=owner_weights)[0]) for number in range(_VIDEOS)
        ]
        rng.shuffle(self.videos)
        self._weights: Final = _zipf(_VIDEOS)

    def pick(self, rng: random.Random) -> Video:
        """Draw one video by popularity."""
        return self.videos[bisect.bisect(self._weights, rng.random() * self._weights[-1], 0, len(self.videos) - 1)]


def _zipf(count: int) -> list[float]:
    """Return the sums of the weights 1, 1/2, 1/3 and so on."""
    return list(itertools.accumulate(1.0 / rank for rank in range(1, count + 1)))


def _channel(rng: random.Random, number: int) -> Channel:
    if number < len(AWKWARD_NAMES):
        name = AWKWARD_NAMES[number]
    else:
        name = f"{rng.choice(_WORDS)} {rng.choice(_WORDS)} {number}"
    handle = f"@{rng.choice(_WORDS)}{number}"
    channel_id = "UC" + "".join(rng.choices(_ID_ALPHABET, k=22))
    return Channel(name, handle, channel_id, f"https://www.youtube.com/{handle}")


def _video(rng: random.Random, number: int, channel: Channel) -> Video:
    if number < len(AWKWARD_VIDEO_IDS):
        video_id = AWKWARD_VIDEO_IDS[number]
    else:
        video_id = "".join(rng.choices(_ID_ALPHABET, k=11))
    return Video(video_id, channel, f"https://www.youtube.com/watch?v={video_id}")
