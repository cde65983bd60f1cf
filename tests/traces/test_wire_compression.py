"""Compressed bodies: every accepted encoding, in whole and in pieces, and what is refused."""

import gzip
import random
import zlib

import pytest
import zstandard

from traces.canonical.types import WireError
from traces.wire.compression import MAX_MEMBERS, inflate

NOISE = random.Random(3).randbytes(200_000)
LIMIT = 1 << 20


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zstd(data, **options):
    return zstandard.ZstdCompressor(**options).compress(data)


def zstd_stream(data):
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


PACKERS = {
    "identity": [bytes],
    "gzip": [gzip.compress],
    "deflate": [zlib.compress, raw_deflate],
    "zstd": [zstd, zstd_stream, lambda data: zstd(data, level=19, write_checksum=True)],
}
CASES = [(name, pack) for name, packs in PACKERS.items() for pack in packs]


@pytest.mark.parametrize(("encoding", "pack"), CASES)
@pytest.mark.parametrize("data", [b"x", b"hello " * 50_000, NOISE, NOISE + b"a" * 700_000])
def test_what_was_packed_comes_out(encoding, pack, data):
    packed = pack(data)

    pieces = [packed[at : at + 777] for at in range(0, len(packed), 777)]

    assert inflate(packed, encoding, LIMIT) == data
    assert inflate(iter(pieces), encoding.upper(), LIMIT) == data


def test_several_gzip_members_and_zero_padding_are_one_body():
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0"

    assert inflate(packed, "gzip", LIMIT) == b"one two"
    assert inflate([packed[i : i + 1] for i in range(len(packed))], "gzip", LIMIT) == b"one two"


def test_several_zstd_frames_and_skippable_ones_are_one_body():
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"

    assert inflate(zstd(b"one ") + skippable + zstd_stream(b"two"), "zstd", LIMIT) == b"one two"


def test_an_empty_packed_body_is_empty():
    assert inflate(gzip.compress(b""), "gzip", LIMIT) == b""
    assert inflate(b"", "identity", LIMIT) == b""


@pytest.mark.parametrize(("encoding", "pack"), CASES)
def test_a_bomb_is_refused_with_413_at_the_cap(encoding, pack):
    packed = pack(b"\0" * (20 * LIMIT))

    with pytest.raises(WireError, match=str(LIMIT)) as refused:
        inflate(packed, encoding, LIMIT)

    assert (refused.value.status, refused.value.code) == (413, 8)


def test_exactly_the_limit_is_accepted():
    assert len(inflate(gzip.compress(b"x" * LIMIT), "gzip", LIMIT)) == LIMIT


@pytest.mark.parametrize(("encoding", "pack"), [case for case in CASES if case[0] != "identity"])
@pytest.mark.parametrize("cut", [1, 5, 0.5])
def test_truncated_data_is_400(encoding, pack, cut):
    packed = pack(NOISE)
    end = len(packed) // 2 if cut == 0.5 else len(packed) - cut

    with pytest.raises(WireError) as refused:
        inflate(packed[:end], encoding, LIMIT)

    assert refused.value.status == 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize(
    "data", [b"", b"junk that is no archive", b"\x1f\x8b\x08junkjunk", b"\x28\xb5\x2f\xfd\xff\xff\xff"]
)
def test_corrupt_data_is_400(encoding, data):
    with pytest.raises(WireError) as refused:
        inflate(data, encoding, LIMIT)

    assert refused.value.status == 400


def test_garbage_behind_the_last_member_is_400():
    for packed, encoding in ((gzip.compress(b"x") + b"garbage", "gzip"), (zlib.compress(b"x") + b"garbage", "deflate")):
        with pytest.raises(WireError) as refused:
            inflate(packed, encoding, LIMIT)
        assert refused.value.status == 400


def test_millions_of_empty_members_are_refused_early():
    for packed, encoding in ((gzip.compress(b"") * 5000, "gzip"), (zstd(b"") * 5000, "zstd")):
        with pytest.raises(WireError, match=str(MAX_MEMBERS)):
            inflate(packed, encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["br", "gzip, deflate", "gzip,gzip", "compress", "x" * 300])
def test_unknown_and_stacked_encodings_are_415(encoding):
    with pytest.raises(WireError, match="zstd") as refused:
        inflate(b"", encoding, LIMIT)

    assert (refused.value.status, refused.value.code) == (415, 3)
    assert len(refused.value.message) < 300
