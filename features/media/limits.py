"""What looking at one file may cost, beside the memory and time that the process around it limits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What is looked at of a file.

    Attributes
    ----------
    file_bytes : of the file
    video_pixels, image_pixels : of one frame; 4K video and what telephones photograph fit
    image_bytes : of memory that decoding one frame of a picture may need, by its kind and size
    image_decoded_pixels : in all frames of a picture that moves, as far as more than one is looked at
    duration_s : the longest file that is looked at at all
    sound_s : how much of the sound is listened to
    frames : how many frames are looked at
    decoded_pixels : in all frames that must be decoded to get there
    """

    file_bytes: int = 1 << 29
    video_pixels: int = 9_500_000
    image_pixels: int = 50_000_000
    image_bytes: int = 1_000_000_000
    image_decoded_pixels: int = 200_000_000
    duration_s: float = 4 * 3600.0
    sound_s: float = 60.0
    frames: int = 8
    decoded_pixels: int = 1_500_000_000
