#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# First process of the boot tests' guests: sets the machine up, runs the guest() half of the
# scenario that test=NAME on the kernel's command line names, and switches off.
#
# What it says starts with an @ and is read by host.sh: @ok, @not ok, @# note, @ready, @end.

export PATH=/bin HOME=/root
SCENARIOS=/scenario
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# Without a console that is there from the start, init has no open files at all.
[ -e /proc/self/fd/1 ] || exec </dev/null >/dev/null 2>&1
exec 2>&1

# word NAME: the value of the last NAME=value on the kernel's command line.
word() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p" | tail -n 1; }

ok() { echo "@ok $*"; }
not_ok() { echo "@not ok $*"; }

# check TEXT COMMAND...
check() {
	text=$1
	shift
	if "$@"; then ok "$text"; else not_ok "$text"; fi
}

# What is still in the terminal's buffer when the power goes is lost: setting modes waits for it.
drain() { stty "$(stty -g)"; }

# Finds by name, since the order of devices is not part of a scenario.
interrupts_of() { grep -E "$1" /proc/interrupts; }

# interrupts counted so far on lines that match
interrupt_count() {
	interrupts_of "$1" | awk '{ for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }'
}

# dhcp: address and route of eth0.
dhcp() { udhcpc -i eth0 -n -q -t 5 -T 2 -s /lib/udhcpc >/tmp/udhcpc.log 2>&1; }
gateway() { route -n | awk '$1 == "0.0.0.0" { print $2; exit }'; }

same() { [ -n "$1" ] && [ "$1" = "$2" ]; }

sha() { sha256sum "$@" | cut -d' ' -f1; }

# quiet CMD...
quiet() { "$@" >/dev/null 2>&1; }

while read -r mod; do insmod "$mod"; done </lib/modules.load
# A port of a virtio console is there a little after its driver, and before that init has no console.
if [ "$(word console)" = hvc0 ]; then
	until sh -c ': </dev/hvc0' 2>/dev/null; do sleep 0.1; done
	exec </dev/hvc0 >/dev/hvc0 2>&1
fi

finish() { poweroff -f; }
name=$(word test)
# shellcheck source=/dev/null
. "$SCENARIOS/$name"
guest
echo "@end"
drain
finish
