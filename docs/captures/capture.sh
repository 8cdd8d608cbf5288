# SPDX-License-Identifier: GPL-2.0-or-later
# capture.sh NAME, on the mobile node: what docs/captures.md explains, into NAME.pcapng in the current folder.
dumpcap -q -i wifi -i evdo -i wimax -i lte -f 'udp port 434 or ip proto 4 or ip proto 47 or icmp' -w "unsorted.pcapng" 2>/dev/null &
capture=$!
sleep 2
mipctl deregister all; sleep 2
mipctl reregister; sleep 2
for _ in 1 2 3 4; do ping -c 1 203.0.113.2 | grep from; done
mipctl reregister --bulk; sleep 2
mipctl deregister 2; sleep 2
kill -INT $capture
wait $capture
reordercap unsorted.pcapng "$1.pcapng"      # the links' packets come in batches
rm unsorted.pcapng
sync "$1.pcapng"
