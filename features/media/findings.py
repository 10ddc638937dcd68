"""What the process that decodes answers: plain numbers and texts, so that nothing of the file itself gets through."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """What was found in one file.

    Attributes
    ----------
    kind : type by the first bytes, such as video/mp4
    width, height : pixels; fps: frames per second; duration_s: seconds; sample_rate: Hz; None: unknown
    frames : how many were looked at
    hashes : 64-bit perceptual hash (DCT) of each frame, as signed integers
    crop_hashes : the same of five parts of each frame, as copies that are cropped a little show it
    indecency : score of each frame in [0, 1], empty where nobody could tell; indecency_version: of what told
    visual, audio : unit vectors, None where there is none
    loudness_db : root mean square, dB relative to full scale
    tempo_bpm : beats per minute
    visual_code, audio_code : why there is none, or what is wrong with it; "" where all is well
    visual_detail, audio_detail : the same as sentences
    """

    kind: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    sample_rate: int | None = None
    frames: int = 0
    hashes: list[int] = field(default_factory=list)
    crop_hashes: list[int] = field(default_factory=list)
    indecency: list[float] = field(default_factory=list)
    indecency_version: str = ""
    visual: list[float] | None = None
    audio: list[float] | None = None
    loudness_db: float | None = None
    tempo_bpm: float | None = None
    visual_code: str = ""
    visual_detail: str = ""
    audio_code: str = ""
    audio_detail: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Findings, or the reason why there are none at all."""

    findings: Findings | None = None
    code: str = ""
    more: str = ""
