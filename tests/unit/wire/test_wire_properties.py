# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties that hold for any message and for any octets."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import event, given, settings
from hypothesis import strategies as st

from agents.wire import (
    AdvertisementFlags,
    AgentAdvertisement,
    Algorithm,
    Authentication,
    AuthenticationType,
    Challenge,
    EncapsulatingDeliveryStyle,
    Extension,
    ForeignAgentError,
    GeneralizedAuthentication,
    GreKey,
    MessageString,
    MobileNodeNai,
    MultipleTunnelRequest,
    Recognised,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    RevocationSupport,
    Skipped,
    TunnelData,
    UdpTunnelReply,
    UdpTunnelRequest,
    VendorExtension,
    WireError,
    WireProfile,
    append,
    decode_icmp,
    decode_registration,
    ntp_timestamp,
    unix_time,
    verify,
)

OCTET = st.integers(0, 0xFF)
SHORT = st.integers(0, 0xFFFF)
LONG = st.integers(0, 0xFFFFFFFF)
ADDRESS = LONG.map(IPv4Address)
DATA = st.binary(max_size=40)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
SKIPPED = sorted({*range(128, 256)} - {130, 131, 132, 134, 136, 137, 139, 144, 145, 148, 154})

PROFILES = st.builds(
    WireProfile,
    multiple_tunnel_request=st.integers(51, 127),
    denied_by_home_agent=st.integers(128, 192),
    denied_by_foreign_agent=st.integers(64, 127),
)

EXTENSIONS: st.SearchStrategy[Extension] = st.one_of(
    st.builds(Authentication, st.sampled_from(AuthenticationType), LONG, DATA, OCTET),
    st.builds(MultipleTunnelRequest, OCTET, SHORT, st.booleans(), st.booleans(), LONG),
    st.builds(UdpTunnelRequest, st.booleans(), st.booleans(), OCTET),
    st.builds(UdpTunnelReply, OCTET, st.booleans(), SHORT),
    st.builds(EncapsulatingDeliveryStyle),
    st.builds(MobileNodeNai, DATA),
    st.builds(Challenge, DATA),
    st.builds(MessageString, OCTET, TEXT),
    st.builds(ForeignAgentError, OCTET),
    st.builds(GreKey, LONG),
    st.builds(GeneralizedAuthentication, OCTET, LONG, st.binary(min_size=16, max_size=300)),
    st.builds(RevocationSupport, st.booleans(), LONG),
    st.builds(VendorExtension, st.booleans(), LONG, SHORT, DATA),
    st.builds(Recognised, st.sampled_from([136, 148]), DATA),
    st.builds(Recognised, st.just(139), st.binary(min_size=4, max_size=4), st.sampled_from([1, 2])),
    st.builds(Recognised, st.just(154), st.binary(min_size=4, max_size=4), st.just(1)),
    st.builds(Recognised, st.just(154), st.binary(min_size=4, max_size=300), st.just(2)),
    st.builds(Skipped, st.sampled_from(SKIPPED), DATA),
)
EXTENSION_LISTS = st.lists(EXTENSIONS, max_size=6).map(tuple)
REQUESTS = st.builds(
    RegistrationRequest,
    OCTET.map(RequestFlags),
    SHORT,
    ADDRESS,
    ADDRESS,
    ADDRESS,
    st.integers(0, (1 << 64) - 1),
    EXTENSION_LISTS,
)
REPLIES = st.builds(
    RegistrationReply, OCTET, SHORT, ADDRESS, ADDRESS, st.integers(0, (1 << 64) - 1), EXTENSION_LISTS
)


@given(st.one_of(REQUESTS, REPLIES), PROFILES)
def test_registration_round_trip(
    message: RegistrationRequest | RegistrationReply, profile: WireProfile
) -> None:
    assert decode_registration(message.encode(profile), profile) == message


@given(st.integers(0, 0xFFFF), st.booleans())
def test_multiple_tunnel_request_of_length_6_round_trip(binding_id: int, bulk: bool) -> None:
    profile = WireProfile(request_length=6)
    extension = MultipleTunnelRequest(4, binding_id, bulk, not bulk, None)
    request = RegistrationRequest(
        RequestFlags.D, 0, IPv4Address(0), IPv4Address(0), IPv4Address(0), 0, (extension,)
    )
    assert decode_registration(request.encode(profile), profile) == request


EDITS = st.lists(st.tuples(st.integers(0, 200), OCTET), max_size=3)
CUTS = st.one_of(st.just(0), st.integers(0, 30))


def _damaged(octets: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    """Some octets replaced and some missing at the end."""
    damaged = bytearray(octets)
    for position, octet in edits:
        if damaged:
            damaged[position % len(damaged)] = octet
    return bytes(damaged[: len(damaged) - cut] if cut < len(damaged) else b"")


FRAMED = st.builds(
    lambda kind, data: bytes([kind, len(data)]) + data,
    st.one_of(OCTET, st.sampled_from([0, 32, 33, 34, 36, 38, 44, 45, 48, 127, 139, 144, 145, 154])),
    st.binary(max_size=30),
)
DAMAGED_MESSAGES = st.one_of(
    st.builds(_damaged, st.one_of(REQUESTS, REPLIES).map(lambda message: message.encode()), EDITS, CUTS),
    st.builds(
        lambda message, framed: message.encode() + b"".join(framed),
        st.one_of(REQUESTS, REPLIES),
        st.lists(FRAMED, max_size=4),
    ),
)


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=60), DAMAGED_MESSAGES), PROFILES)
def test_any_octets_give_a_message_or_a_wire_error(octets: bytes, profile: WireProfile) -> None:
    try:
        message = decode_registration(octets, profile)
    except WireError as error:
        event(error.reason)
        return
    event(f"decoded, {len(message.extensions)} extensions")
    again = decode_registration(message.encode(profile), profile)
    assert again.encode(profile) == message.encode(profile)
    for extension in message.extensions:
        if isinstance(extension, Authentication):
            assert octets[extension.covered :].startswith(extension.authenticator)


@given(st.binary(max_size=60))
def test_any_octets_give_tunnel_data_or_a_wire_error(octets: bytes) -> None:
    try:
        tunnelled = TunnelData.decode(octets)
    except WireError:
        assert len(octets) < 4 or octets[0] != 4
    else:
        assert tunnelled.encode()[:2] == octets[:2]
        assert tunnelled.encode()[4:] == octets[4:]


ADVERTISEMENTS = st.builds(
    AgentAdvertisement,
    router_addresses=st.lists(st.tuples(ADDRESS, st.integers(-(1 << 31), (1 << 31) - 1)), max_size=4).map(
        tuple
    ),
    lifetime=SHORT,
    sequence=SHORT,
    registration_lifetime=SHORT,
    flags=SHORT.map(lambda bits: AdvertisementFlags(bits & 0xFDE0)),
    care_of_addresses=st.lists(ADDRESS, max_size=5).map(tuple),
    challenge=st.none() | DATA,
    code=st.sampled_from([0, 16]),
)


@given(ADVERTISEMENTS, st.integers(0, 32))
def test_advertisement_round_trip(advertisement: AgentAdvertisement, prefix_length: int) -> None:
    assert decode_icmp(advertisement.encode()) == advertisement
    assert len(advertisement.encode()) % 2 == 0
    with_prefixes = AgentAdvertisement(
        router_addresses=advertisement.router_addresses,
        lifetime=advertisement.lifetime,
        sequence=advertisement.sequence,
        registration_lifetime=advertisement.registration_lifetime,
        flags=advertisement.flags,
        care_of_addresses=advertisement.care_of_addresses,
        prefix_lengths=(prefix_length,) * len(advertisement.router_addresses),
        challenge=advertisement.challenge,
        code=advertisement.code,
    )
    assert decode_icmp(with_prefixes.encode()) == with_prefixes


DAMAGED_ADVERTISEMENTS = st.builds(
    _damaged, ADVERTISEMENTS.map(lambda message: message.encode()), EDITS, CUTS
)


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=40), DAMAGED_ADVERTISEMENTS))
def test_any_octets_give_a_discovery_message_or_a_wire_error(octets: bytes) -> None:
    message = octets
    if len(message) >= 8:
        # With the right checksum, or hardly anything would get past it.
        words = int.from_bytes(message[:2] + b"\0\0" + message[4:] + b"\0" * (len(message) % 2), "big")
        message = message[:2] + (-words % 0xFFFF).to_bytes(2, "big") + message[4:]
    try:
        decoded = decode_icmp(message)
    except WireError as error:
        event(error.reason)
        return
    event(type(decoded).__name__)
    assert decode_icmp(decoded.encode()) == decoded


@given(REQUESTS, LONG, st.sampled_from(Algorithm), st.binary(min_size=1, max_size=64), st.data())
def test_a_signed_message_verifies_until_a_bit_is_changed(
    request: RegistrationRequest, spi: int, algorithm: Algorithm, key: bytes, data: st.DataObject
) -> None:
    payload = append(request.encode(), AuthenticationType.MOBILE_HOME, spi, algorithm, key)
    extension = decode_registration(payload).extensions[-1]
    assert isinstance(extension, Authentication)
    assert extension.spi == spi
    assert verify(payload, extension, algorithm, key)
    bit = data.draw(st.integers(0, extension.covered * 8 - 1))
    changed = bytearray(payload)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(changed), extension, algorithm, key)


@given(st.floats(0, 4_102_444_800))
def test_timestamp_round_trip(unix: float) -> None:
    assert abs(unix_time(ntp_timestamp(unix)) - unix) < 1e-6


@given(st.floats(0, 4_102_444_800), LONG)
def test_replaced_low_bits_leave_the_seconds(unix: float, low: int) -> None:
    stamp = ntp_timestamp(unix, low)
    assert stamp & 0xFFFFFFFF == low
    assert stamp >> 32 == ntp_timestamp(unix) >> 32
