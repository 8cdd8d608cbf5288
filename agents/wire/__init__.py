# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile IPv4 messages: octets to dataclasses and back, with no I/O, no clock and no kernel.

:func:`decode_registration`, :meth:`TunnelData.decode` and :func:`decode_icmp` turn any octets into a
message or raise a :class:`WireError`; ``encode`` of each message goes the other way.
"""

from agents.wire.advertisement import (
    AdvertisementFlags,
    AgentAdvertisement,
    RouterAddresses,
    RouterAdvertisement,
    RouterSolicitation,
    decode_icmp,
)
from agents.wire.authentication import Algorithm, append, compute, verify
from agents.wire.codes import MessageType, ReplyCode, RequestFlags, describe_code
from agents.wire.echo import EchoReply, EchoRequest
from agents.wire.errors import Malformed, Truncated, UnknownExtension, WireError
from agents.wire.extensions import (
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
    Padding,
    Recognised,
    RevocationSupport,
    Skipped,
    UdpTunnelReply,
    UdpTunnelRequest,
    Unusable,
    VendorExtension,
    encode_extension,
)
from agents.wire.identification import ntp_timestamp, unix_time
from agents.wire.messages import RegistrationReply, RegistrationRequest, decode_registration
from agents.wire.profile import DRAFT_02, WireProfile
from agents.wire.tunnel_data import TunnelData

__all__ = [
    "DRAFT_02",
    "AdvertisementFlags",
    "AgentAdvertisement",
    "Algorithm",
    "Authentication",
    "AuthenticationType",
    "Challenge",
    "EchoReply",
    "EchoRequest",
    "EncapsulatingDeliveryStyle",
    "Extension",
    "ForeignAgentError",
    "GeneralizedAuthentication",
    "GreKey",
    "Malformed",
    "MessageString",
    "MessageType",
    "MobileNodeNai",
    "MultipleTunnelRequest",
    "Padding",
    "Recognised",
    "RegistrationReply",
    "RegistrationRequest",
    "ReplyCode",
    "RequestFlags",
    "RevocationSupport",
    "RouterAddresses",
    "RouterAdvertisement",
    "RouterSolicitation",
    "Skipped",
    "Truncated",
    "TunnelData",
    "UdpTunnelReply",
    "UdpTunnelRequest",
    "UnknownExtension",
    "Unusable",
    "VendorExtension",
    "WireError",
    "WireProfile",
    "append",
    "compute",
    "decode_icmp",
    "decode_registration",
    "describe_code",
    "encode_extension",
    "ntp_timestamp",
    "unix_time",
    "verify",
]
