"""What a file is, by its first bytes; its name and what a server says of it are not believed."""

from typing import Final

HEAD_BYTES: Final = 512

# Offset, bytes, type. More telling ones first.
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/avi"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (4, b"moov", "video/mp4"),
    (4, b"mdat", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"FLV\x01", "video/flv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"%PDF", "application/pdf"),
)
# The demuxer of each type. It is named, never guessed: a guess may end at a playlist that names other files.
DEMUXERS: Final = {
    "video/mp4": "mov", "video/webm": "matroska", "video/avi": "avi", "video/flv": "flv", "video/mpeg": "mpeg",
    "video/mp2t": "mpegts", "audio/ogg": "ogg", "audio/wav": "wav", "audio/flac": "flac", "audio/mpeg": "mp3",
    "audio/aac": "aac",
}  # fmt: skip
PICTURES: Final = {
    "image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP", "image/avif": "AVIF",
}  # fmt: skip


def sniff(head: bytes) -> str:
    """The type of a file from its first 512 bytes; "" for none that is known.

    >>> sniff(b"\\x00\\x00\\x00\\x18ftypmp42" + bytes(16)), sniff(b"<!DOCTYPE html>"), sniff(b"hello")
    ('video/mp4', 'text/html', '')
    """
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind
    if head.lstrip()[:1] == b"<":
        return "text/html"
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return "video/mp2t"
    # An elementary stream begins with eleven or twelve set bits; the layer bits tell MPEG audio from AAC.
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "audio/aac" if head[1] & 0xF6 == 0xF0 else "audio/mpeg"
    return ""
