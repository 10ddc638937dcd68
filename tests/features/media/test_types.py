import pytest

from features.media.types import DEMUXERS, PICTURES, sniff


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", "video/avi"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\xff\xfb\x90\x64" + bytes(20), "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(20), "audio/aac"),
        (b"  \n<svg xmlns='http://www.w3.org/2000/svg'>", "text/html"),
        (b"#EXTM3U\n", ""),
        (b"ffconcat version 1.0", ""),
        (b"", ""),
    ],
)
def test_a_file_is_what_its_first_bytes_say(head, kind):
    assert sniff(head) == kind


def test_no_demuxer_is_named_that_opens_other_files():
    assert not set(DEMUXERS.values()) & {"hls", "concat", "dash", "image2", "lavfi", "sdp", "rtsp", "imf"}
    assert not set(DEMUXERS) & set(PICTURES)
