# SPDX-License-Identifier: GPL-2.0-or-later
"""Authenticators against RFC 2104's and RFC 4231's values, the vectors and OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from agents.wire import (
    Algorithm,
    Authentication,
    AuthenticationType,
    Malformed,
    WireProfile,
    append,
    compute,
    decode_registration,
    verify,
)
from tests.unit.wire.vectors import KEY, PREFIX_SUFFIX_MD5, SPI, VECTORS, Vector

OCTETS = {Algorithm.HMAC_MD5: 16, Algorithm.HMAC_SHA256: 32, Algorithm.KEYED_MD5: 16}


def _openssl(arguments: list[str], data: bytes) -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the openssl program is missing: apt-get install openssl")
    run = subprocess.run([program, "dgst", *arguments, "-r"], input=data, capture_output=True, check=True)
    return run.stdout.split()[0].decode()


def _authentication(payload: bytes, profile: WireProfile) -> Authentication:
    extension = decode_registration(payload, profile).extensions[-1]
    assert isinstance(extension, Authentication)
    return extension


@pytest.mark.parametrize(
    ("algorithm", "key", "data", "digest"),
    [
        (Algorithm.HMAC_MD5, b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
        (
            Algorithm.HMAC_MD5,
            b"Jefe",
            b"what do ya want for nothing?",
            "750c783e6ab0b503eaa86e310a5db738",
        ),
        (Algorithm.HMAC_MD5, b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
        (
            Algorithm.HMAC_SHA256,
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ],
)
def test_published_values(algorithm: Algorithm, key: bytes, data: bytes, digest: str) -> None:
    assert compute(algorithm, key, data).hex() == digest


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors_carry_the_authenticator_we_append(vector: Vector) -> None:
    prefix = vector.octets[:-22]
    signed = append(prefix, AuthenticationType.MOBILE_HOME, SPI, Algorithm.HMAC_MD5, KEY)
    assert signed == vector.octets


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors_verify(vector: Vector) -> None:
    extension = _authentication(vector.octets, vector.profile)
    assert verify(vector.octets, extension, Algorithm.HMAC_MD5, KEY)


def test_prefix_and_suffix_vector() -> None:
    signed = append(VECTORS[0].octets[:24], AuthenticationType.MOBILE_HOME, SPI, Algorithm.KEYED_MD5, KEY)
    assert signed[-16:].hex() == PREFIX_SUFFIX_MD5


@pytest.mark.parametrize("key", [KEY, b"\x00", b"\xff" * 16, b"k" * 64, b"longer than a block " * 4])
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_openssl_agrees(algorithm: Algorithm, key: bytes) -> None:
    payload = VECTORS[1].octets
    signed = append(payload, AuthenticationType.FOREIGN_HOME, 0x01020304, algorithm, key)
    octets = OCTETS[algorithm]
    header = bytes([34, 4 + octets, 1, 2, 3, 4])
    assert signed[: len(payload) + 6] == payload + header
    if algorithm is Algorithm.KEYED_MD5:
        expected = _openssl(["-md5"], key + payload + header + key)
    else:
        digest = {"hmac-md5": "-md5", "hmac-sha256": "-sha256"}[algorithm]
        expected = _openssl([digest, "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}"], payload + header)
    assert signed[-octets:].hex() == expected


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_no_octet_before_the_end_can_be_changed(algorithm: Algorithm) -> None:
    payload = append(VECTORS[1].octets[:-22], AuthenticationType.MOBILE_HOME, SPI, algorithm, KEY)
    extension = _authentication(payload, WireProfile())
    assert verify(payload, extension, algorithm, KEY)
    for position in range(extension.covered):
        changed = bytearray(payload)
        changed[position] ^= 1
        assert not verify(bytes(changed), extension, algorithm, KEY), position
    for position in range(len(extension.authenticator)):
        forged = bytearray(extension.authenticator)
        forged[position] ^= 0x80
        assert not verify(payload, replace(extension, authenticator=bytes(forged)), algorithm, KEY)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 32])
def test_authenticator_of_another_length_is_not_genuine(length: int) -> None:
    extension = _authentication(VECTORS[0].octets, WireProfile())
    other = replace(extension, authenticator=(extension.authenticator * 2)[:length])
    assert not verify(VECTORS[0].octets, other, Algorithm.HMAC_MD5, KEY)


def test_another_key_or_algorithm_does_not_verify() -> None:
    payload = VECTORS[0].octets
    extension = _authentication(payload, WireProfile())
    assert not verify(payload, extension, Algorithm.HMAC_MD5, KEY[:-1])
    assert not verify(payload, extension, Algorithm.KEYED_MD5, KEY)
    assert not verify(payload, extension, Algorithm.HMAC_SHA256, KEY)


def test_each_of_several_extensions_covers_what_stands_before_it() -> None:
    payload = append(VECTORS[1].octets, AuthenticationType.MOBILE_FOREIGN, 300, Algorithm.HMAC_SHA256, b"mf")
    payload = append(payload, AuthenticationType.FOREIGN_HOME, 301, Algorithm.KEYED_MD5, b"fh")
    keys = {
        AuthenticationType.MOBILE_HOME: (Algorithm.HMAC_MD5, KEY),
        AuthenticationType.MOBILE_FOREIGN: (Algorithm.HMAC_SHA256, b"mf"),
        AuthenticationType.FOREIGN_HOME: (Algorithm.KEYED_MD5, b"fh"),
    }
    found = [item for item in decode_registration(payload).extensions if isinstance(item, Authentication)]
    assert [item.type for item in found] == list(keys)
    for item in found:
        assert verify(payload, item, *keys[item.type])


def test_covered_is_no_part_of_the_value() -> None:
    extension = _authentication(VECTORS[0].octets, WireProfile())
    assert extension.covered == 30
    assert extension == replace(extension, covered=0)


def test_spi_has_32_bits() -> None:
    with pytest.raises(Malformed, match="field-out-of-range"):
        append(b"", AuthenticationType.MOBILE_HOME, 1 << 32, Algorithm.HMAC_MD5, KEY)
