-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- The Multiple Tunnel Request extension of draft-gundavelli-mip4-multiple-tunnel-support-02 for Wireshark,
-- and the texts of its two reply codes. Written from the draft (§4.1, §4.2 and Figure 2), not from this
-- project's encoder: it is a second reading of the same page.
--
--   wireshark -X lua_script:mip4-multiple-tunnel.lua capture.pcap
--   tshark    -X lua_script:mip4-multiple-tunnel.lua -o mip_mtr.type_number:51 -r capture.pcap -Y mip_mtr
--
-- Wireshark's own dissector of Mobile IP shows an unknown extension as bare octets. A postdissector adds the
-- fields beside it, so that everything Wireshark knows itself stays as it is.

local mtr = Proto("mip_mtr", "Mobile IPv4 Multiple Tunnel Request")

-- RFC 5213 §8.5, registry "Access Technology Type Option Type Values" of the Mobility Parameters. (The registry
-- of RFC 5563 inside the Mobile IPv4 Numbers has other numbers; RFC 7629 §4.1 names this one.)
local access_technology = {
    [0] = "Reserved",
    [1] = "Virtual",
    [2] = "PPP",
    [3] = "IEEE 802.3",
    [4] = "IEEE 802.11a/b/g",
    [5] = "IEEE 802.16e",
    [6] = "3GPP GERAN",
    [7] = "3GPP UTRAN",
    [8] = "3GPP E-UTRAN",
    [9] = "3GPP2 eHRPD",
    [10] = "3GPP2 HRPD",
    [11] = "3GPP2 1xRTT",
    [12] = "3GPP2 UMB",
    [13] = "3GPP NB-IoT",
}

local fields = {
    type = ProtoField.uint8("mip.mtr.type", "Type"),
    length = ProtoField.uint8("mip.mtr.length", "Length"),
    subtype = ProtoField.uint8("mip.mtr.subtype", "Sub-Type"),
    if_type = ProtoField.uint8("mip.mtr.if_type", "Interface-Type", base.DEC, access_technology),
    bid = ProtoField.uint16("mip.mtr.bid", "Binding-Id"),
    bulk = ProtoField.bool("mip.mtr.bulk", "Bulk Re-registration (B)", 16, nil, 0x8000),
    overwrite = ProtoField.bool("mip.mtr.overwrite", "Registration Overwrite (O)", 16, nil, 0x4000),
    reserved = ProtoField.uint16("mip.mtr.reserved", "Reserved", base.HEX, nil, 0x3fff),
    bandwidth = ProtoField.uint32("mip.mtr.bandwidth", "Interface Bandwidth (kilo-bytes)"),
    code = ProtoField.uint8("mip.mtr.code", "Reply Code"),
    code_text = ProtoField.string("mip.mtr.code_text", "Reply Code meaning"),
}
mtr.fields = fields

local experts = {
    both_flags = ProtoExpert.new("mip.mtr.both_flags", "B and O must not both be set (draft §4.1)",
        expert.group.PROTOCOL, expert.severity.ERROR),
    subtype = ProtoExpert.new("mip.mtr.bad_subtype", "Sub-Type must be 0 (draft §4.1)",
        expert.group.PROTOCOL, expert.severity.ERROR),
    length = ProtoExpert.new("mip.mtr.bad_length",
        "Length is none of 10 (Figure 2), 8 (16-bit bandwidth) and 6 (as the text has it)",
        expert.group.MALFORMED, expert.severity.ERROR),
    unprotected = ProtoExpert.new("mip.mtr.unprotected",
        "after the Mobile-Home Authentication extension, so not protected by it (draft §4.1)",
        expert.group.SECURITY, expert.severity.ERROR),
    repeated = ProtoExpert.new("mip.mtr.repeated", "more than one instance in the message (draft §4.1)",
        expert.group.PROTOCOL, expert.severity.ERROR),
    in_reply = ProtoExpert.new("mip.mtr.in_reply", "must not be in a Registration Reply (draft §4.1)",
        expert.group.PROTOCOL, expert.severity.ERROR),
    overwrite_deregistration = ProtoExpert.new("mip.mtr.overwrite_deregistration",
        "O must be 0 in a de-registration (draft §4.1)", expert.group.PROTOCOL, expert.severity.WARN),
    reserved = ProtoExpert.new("mip.mtr.reserved_set",
        "Reserved bits are sent as 0 and ignored (draft §4.1)", expert.group.PROTOCOL, expert.severity.NOTE),
    truncated = ProtoExpert.new("mip.mtr.truncated", "the message ends inside the extension",
        expert.group.MALFORMED, expert.severity.ERROR),
}
mtr.experts = experts

-- The draft leaves its three numbers open; these are RFC 4064's values for experiments.
mtr.prefs.type_number = Pref.uint("Extension type (IANA-1)", 127, "Type number of the Multiple Tunnel Request")
mtr.prefs.denied_by_ha = Pref.uint("Code of a denial by the home agent (IANA-2)", 192,
    "MULTIPLE_TUNNEL_REQUEST_DENIED_BY_HA")
mtr.prefs.denied_by_fa = Pref.uint("Code of a denial by the foreign agent (IANA-3)", 127,
    "MULTIPLE_TUNNEL_REQUEST_DENIED_BY_FA")

local payloads = Field.new("udp.payload")
local source_ports = Field.new("udp.srcport")
local destination_ports = Field.new("udp.dstport")

local MOBILE_IP_PORT = 434
local REQUEST, REPLY = 1, 3
local FIXED_PART = { [REQUEST] = 24, [REPLY] = 20 }
local MOBILE_HOME_AUTHENTICATION = 32
-- Nothing on the wire tells these types' two octets of Length (RFC 5944 §1.10 and the RFCs that define them).
local LONG_FORMAT = {
    [36] = true, [38] = true, [40] = true, [41] = true, [42] = true, [43] = true, [47] = true, [48] = true,
    [139] = true, [154] = true,
}

local function add_multiple_tunnel_request(range, tree, message)
    local length = range(1, 1):uint()
    local item = tree:add(mtr, range)
    item:add(fields.type, range(0, 1))
    local length_item = item:add(fields.length, range(1, 1))
    if message.protected then item:add_proto_expert_info(experts.unprotected) end
    if message.seen > 1 then item:add_proto_expert_info(experts.repeated) end
    if message.type == REPLY then item:add_proto_expert_info(experts.in_reply) end
    if length ~= 10 and length ~= 8 and length ~= 6 then
        length_item:add_proto_expert_info(experts.length)
        return
    end
    local subtype_item = item:add(fields.subtype, range(2, 1))
    if range(2, 1):uint() ~= 0 then subtype_item:add_proto_expert_info(experts.subtype) end
    item:add(fields.if_type, range(3, 1))
    item:add(fields.bid, range(4, 2))
    item:add(fields.bulk, range(6, 2))
    local overwrite_item = item:add(fields.overwrite, range(6, 2))
    local reserved_item = item:add(fields.reserved, range(6, 2))
    local bulk = range(6, 2):bitfield(0, 1) == 1
    local overwrite = range(6, 2):bitfield(1, 1) == 1
    if bulk and overwrite then overwrite_item:add_proto_expert_info(experts.both_flags) end
    if overwrite and message.type == REQUEST and message.lifetime == 0 then
        overwrite_item:add_proto_expert_info(experts.overwrite_deregistration)
    end
    if range(6, 2):bitfield(2, 14) ~= 0 then reserved_item:add_proto_expert_info(experts.reserved) end
    -- The figure has 32 bits, the text 16 bits, and its Length of 6 leaves no room for either.
    if length > 6 then item:add(fields.bandwidth, range(8, length - 6)) end
    item:append_text(string.format(", Binding-Id %u", range(4, 2):uint()))
end

local function walk_extensions(range, tree, message)
    local offset = FIXED_PART[message.type]
    while offset < range:len() do
        local kind = range(offset, 1):uint()
        local size = 1 -- RFC 5944 §1.9: padding of Type 0 is one octet without a Length
        if kind ~= 0 then
            local left = range:len() - offset
            -- The number of the request comes first: a number for experiments may be anything.
            local long = LONG_FORMAT[kind] and kind ~= mtr.prefs.type_number
            local header = long and 4 or 2
            if left >= header then
                size = header + (long and range(offset + 2, 2):uint() or range(offset + 1, 1):uint())
            end
            if left < header or size > left then
                if kind == mtr.prefs.type_number then
                    local item = tree:add(mtr, range(offset, left))
                    item:add(fields.type, range(offset, 1))
                    if left >= 2 then item:add(fields.length, range(offset + 1, 1)) end
                    item:add_proto_expert_info(experts.truncated)
                end
                return
            end
        end
        if kind == mtr.prefs.type_number then
            message.seen = message.seen + 1
            add_multiple_tunnel_request(range(offset, size), tree, message)
        elseif kind == MOBILE_HOME_AUTHENTICATION then
            message.protected = true
        end
        offset = offset + size
    end
end

local function dissect_message(range, tree)
    local kind = range(0, 1):uint()
    local fixed_part = FIXED_PART[kind]
    if not fixed_part or range:len() < fixed_part then return end
    if kind == REPLY then
        local code = range(1, 1):uint()
        local text
        if code == mtr.prefs.denied_by_ha then
            text = "Multiple tunnel support request rejected by HA"
        elseif code == mtr.prefs.denied_by_fa then
            text = "Multiple tunnel support request rejected by FA"
        end
        if text then
            tree:add(fields.code, range(1, 1)):append_text(" (" .. text .. ")")
            tree:add(fields.code_text, range(1, 1), text):set_generated()
        end
    end
    walk_extensions(range, tree, { type = kind, lifetime = range(2, 2):uint(), protected = false, seen = 0 })
end

function mtr.dissector(_, _, tree)
    local sources, destinations = { source_ports() }, { destination_ports() }
    -- A frame has several UDP headers when a message travels inside a tunnel.
    for index, payload in ipairs({ payloads() }) do
        local from, to = sources[index], destinations[index]
        local ours = (from and from.value == MOBILE_IP_PORT) or (to and to.value == MOBILE_IP_PORT)
        if ours and payload.range and payload.range:len() > 0 then
            dissect_message(payload.range, tree)
        end
    end
end

register_postdissector(mtr)
