"""Sound that ends before its file says it does is used and says so; whole files are left alone."""

import io
import wave

import av
import numpy as np
import pytest
from PIL import Image

from features.media.decode import Media, decode
from features.media.limits import Limits
from features.media.reasons import MediaError
from recsys.benchmarks.hostile_media import clip

RATE = 44_100
SOUNDS = {"mp3": "libmp3lame", "flac": "flac", "ogg": "libvorbis", "mp4": "aac", "webm": "libopus", "adts": "aac"}


def noise(seconds):
    return np.random.default_rng(0).normal(0.0, 4_000.0, round(RATE * seconds)).astype(np.int16)


def sound(kind, *, seconds=3.0, **options):
    """A file with nothing but sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options) as container:
        stream = container.add_stream(SOUNDS[kind], rate=48_000 if kind == "webm" else RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(seconds)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=stream.rate, frame_size=0)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def wav(seconds=3.0):
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(noise(seconds).tobytes())
    return file.getvalue()


def heard(content) -> Media:
    media = decode(io.BytesIO(content), Limits())
    assert media.sound is not None
    return media


def code(content) -> str:
    reason = heard(content).audio_reason
    return "" if reason is None else reason.code


@pytest.mark.parametrize("kind", sorted(SOUNDS))
@pytest.mark.parametrize("seconds", [0.5, 3.0, 40.0])
def test_a_whole_file_promises_no_more_than_it_has(kind, seconds):
    assert code(sound(kind, seconds=seconds)) == ""
    assert code(wav(seconds)) == ""


@pytest.mark.parametrize("percent", [3, 50, 97])
def test_an_mp3_that_was_cut_says_so(percent):
    whole = sound("mp3", seconds=6.0)
    media = heard(whole[: len(whole) * percent // 100])
    assert media.audio_reason is not None
    assert media.audio_reason.code == "truncated"
    assert "Sound ends after" in media.audio_reason.detail


def test_a_picture_before_the_first_frame_hides_nothing():
    whole, tag = sound("mp3", write_id3v2="0"), b"ID3\x04\0\0\0\0\x20\x00" + bytes(4_096)
    assert code(tag + whole) == ""
    assert code(tag + whole[: len(whole) // 2]) == "truncated"


def test_an_mp3_that_promises_nothing_breaks_no_promise():
    whole = sound("mp3", write_xing="0", write_id3v2="0")
    assert code(whole) == code(whole[: len(whole) // 2]) == ""


def test_a_wav_whose_header_promises_more_says_so():
    whole = wav()
    assert code(whole[: len(whole) // 2]) == code(whole[: len(whole) * 97 // 100]) == "truncated"
    more = bytearray(whole)
    more[40:44] = (2 * len(whole)).to_bytes(4, "little")
    assert code(bytes(more)) == "truncated"


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000, 0])
def test_a_wav_that_was_written_into_a_pipe_promises_nothing(size):
    piped = bytearray(wav())
    piped[40:44] = size.to_bytes(4, "little")
    assert code(bytes(piped)) == ""


def test_an_mp4_without_its_last_tenth_says_so_of_its_sound(tmp_path):
    whole, fast = clip(tmp_path / "clip.mp4", seconds=3), tmp_path / "fast.mp4"
    with av.open(str(whole)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        streams = {each.index: target.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = fast.read_bytes()
    assert code(content) == ""
    assert code(content[: len(content) * 9 // 10]) == "truncated"


def test_a_moving_avif_is_a_picture():
    frames = [Image.fromarray(np.full((64, 64, 3), shade, np.uint8)) for shade in (20, 120, 220)]
    file = io.BytesIO()
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:], duration=100)
    assert file.getvalue()[4:12] == b"ftypavis"
    media = decode(io.BytesIO(file.getvalue()), Limits())
    assert (media.kind, media.visual_reason) == ("image/avif", None)
    assert len(media.frames) == 3
    with pytest.raises(MediaError) as told:
        decode(io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2]), Limits())
    assert told.value.code == "corrupt"
