#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The three agents outside Mininet: four namespaces made by hand stand for four machines, and the sample settings of
# setup/systemd run there with the rights that the units there give. Needs root; call it in the checkout.
set -eu
settings=$PWD/setup/systemd
PATH=$PWD/.venv/bin:$PATH
work=$(mktemp -d)
agents=
end() {
    for agent in $agents; do kill "$agent" && wait "$agent" || true; done
    for name in cn ha fa mn; do ip netns delete $name || true; done
    rm -r "$work"
}
trap end EXIT

# machine NAME: a namespace
machine() { ip netns add "$1" && ip -n "$1" link set lo up; }
# cable MACHINE INTERFACE MACHINE INTERFACE
cable() { ip link add "$2" netns "$1" type veth peer "$4" netns "$3" && ip -n "$1" link set "$2" up && ip -n "$3" link set "$4" up; }
address() { ip -n "$1" address add "$3" dev "$2"; }

for name in cn ha fa mn; do machine $name; done
cable cn home ha eth0
cable cn access fa eth0
cable cn mobile mn wwan0
cable fa eth1 mn wlan0
address cn home 198.51.100.254/24      # cn is the router between all of them, too
address cn access 203.0.113.33/28
address cn mobile 192.0.2.97/27
address ha eth0 198.51.100.1/24
address fa eth0 203.0.113.34/28
address fa eth1 192.0.2.1/27
address mn wwan0 192.0.2.98/27
ip -n ha route add default via 198.51.100.254
ip -n fa route add default via 203.0.113.33
for name in cn ha fa; do ip netns exec $name sysctl -qw net.ipv4.ip_forward=1; done

# agent NAME ROLE, as the unit starts it
agent() {
    sed "s|/run/mip4/|$work/|; s|/var/lib/mip4/|$work/|" "$settings/$2.toml" >"$work/$2.toml"
    chmod 600 "$work/$2.toml"           # it holds a key
    ip netns exec "$1" setpriv --bounding-set=-all,+net_admin,+net_raw,+net_bind_service --no-new-privs \
        "mip-$2" --config "$work/$2.toml" &
    agents="$! $agents"                # the mobile node ends first: it still deregisters
}
agent ha home-agent
agent fa foreign-agent
agent mn mobile-node

# Both bindings, at the home agent; registration takes a second or two.
tries=0
until mipctl --socket "$work/home-agent_ha.sock" bindings --json 2>/dev/null | grep -q '"binding_id": 1.*"binding_id": 2\|"binding_id": 2.*"binding_id": 1'; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] || { echo 'not registered within 30 s' >&2 && exit 1; }
    sleep 0.2
done
mipctl --socket "$work/home-agent_ha.sock" bindings
ip netns exec mn ping -c 2 -i 0.2 203.0.113.33
ip -n ha -s link show type ipip
