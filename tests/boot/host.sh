# SPDX-License-Identifier: GPL-2.0-only
# The host's words for scenarios: what their host() halves are written with.
# Runs on whatever machine has KVM, with busybox's sh and tools or a distribution's.
# shellcheck shell=sh
#
# In the environment: STAGE (this folder, lkvm, kernels), LOG, LIMIT (seconds for one guest),
# NAME (of the scenario), WORK (an empty folder, removed afterwards).

tap_ok() { echo "ok - $NAME: $*"; }
tap_not_ok() { echo "not ok - $NAME: $*"; failed=yes; }
tap_skip() { echo "ok - $NAME: $1 # SKIP $2"; }
failed=

# check TEXT COMMAND...
check() {
	text=$1
	shift
	if "$@"; then tap_ok "$text"; else tap_not_ok "$text"; fi
}

now() { cut -d. -f1 /proc/uptime; }

# boot ARG...: runs lkvm with these; what it printed is in $console and $errors, its status in $status.
# For one guest these may be set first: $words for its command line, $flavour of the kernel, a kernel
# file in $kernel, an initramfs in $initrd (empty: none), and $stdin.
boot() { start_guest "$@" && wait_guest; }
words='' flavour=cloud kernel='' initrd=default stdin=/dev/null

start_guest() {
	console=$LOG/$NAME.console
	errors=$LOG/$NAME.lkvm
	started=$(now)
	[ "$initrd" != default ] || initrd=$STAGE/$flavour/initramfs
	timeout -s KILL "$LIMIT" "$STAGE/lkvm" run -m 256 \
		-k "${kernel:-$STAGE/$flavour/vmlinuz}" ${initrd:+-i "$initrd"} \
		-p "quiet panic=-1 test=$NAME now=$(date +%s) $words" \
		"$@" <"$stdin" >"$console" 2>"$errors" &
	guest=$!
}

# Afterwards: the guest's own verdicts, then whether it went as far as its last line.
wait_guest() {
	status=0
	wait "$guest" || status=$?
	tr -d '\r' <"$console" >"$WORK/said"
	sed -n "s/^.*@ok /ok - $NAME: /p; s/^.*@not ok /not ok - $NAME: /p; s/^.*@# /# /p" "$WORK/said"
	if grep -q '@not ok ' "$WORK/said"; then failed=yes; fi
	echo "# $NAME: the guest ran for $(($(now) - started)) s"
	if ! grep -q '@end' "$WORK/said"; then
		tap_not_ok "the guest gets to the end of its part"
	fi
}

# ended TEXT STATUS: what lkvm's status had to be. Silence is success: it may have said nothing.
ended() {
	if [ "$status" = "$2" ]; then
		tap_ok "$1 ends lkvm with status $2"
	else
		tap_not_ok "$1 ends lkvm with status $2 (it was $status)"
	fi
	if [ -s "$errors" ]; then tap_not_ok "lkvm has nothing to complain of"; fi
}

# Where guests are many: a kernel that has been unpacked already, if it can be.
fast_kernel() { [ ! -e "$STAGE/vmlinux" ] || kernel=$STAGE/vmlinux; }

# judge TEXT STATUS REGEX ARG...: boots a guest that ends in its own way, and what lkvm made of that:
# its status, and its one line that matters (none: it says nothing).
judge() {
	end=$1 want=$2 line=$3
	shift 3
	start_guest "$@"
	initrd=default status=0
	wait "$guest" || status=$?
	tr -d '\r' <"$console" | sed -n "s/^.*@ok /ok - $NAME: /p; s/^.*@not ok /not ok - $NAME: /p"
	if grep -q '@not ok ' "$console"; then failed=yes; fi
	echo "# $NAME: the guest ran for $(($(now) - started)) s"
	was=$failed failed=''
	check "$end is status $want (it was $status)" [ "$status" = "$want" ]
	if [ -n "$line" ]; then
		check "it is told in its line" grep -qE "$line" "$errors"
	else
		check "it is not worth a line" [ ! -s "$errors" ]
	fi
	[ -z "$failed" ] || { cat "$errors"; tail -n 20 "$console" | tr -d '\r'; } | sed 's/^/#   /'
	failed=$was$failed
}

# On the emulated machine, which has no other taps and no other passt.
nothing_left() {
	sleep 1
	ps | grep -E '[l]kvm run|[p]asst' >&2
	ls /sys/class/net | grep -E 'tap|lkvm' >&2
	! { ps | grep -qE '[l]kvm run|[p]asst' || ls /sys/class/net | grep -qE 'tap|lkvm'; }
}

# wait_for WORD FILE SECONDS: until the guest's console has the word.
wait_for() {
	left=$(($3 * 5))
	until grep -q "$1" "$2" 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] && kill -0 "$guest" 2>/dev/null || return 1
		sleep 0.2
	done
}

# said WORD: what the guest said after @WORD.
said() { sed -n "s/^@$1 //p" "$WORK/said"; }

# same A B: two words that are there and are equal.
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }

sha() { sha256sum "$@" | cut -d' ' -f1; }

# numbered TEXT N: lines "TEXT 1" to "TEXT N".
numbered() { seq 1 "$2" | sed "s/^/$1 /"; }

# said_lines TEXT N: the guest said just these, in order.
said_lines() {
	numbered "$1" "$2" >"$WORK/expected"
	grep -o "$1 [0-9]*\$" "$WORK/said" | cmp -s - "$WORK/expected"
}

# data FILE MIB: bytes that no two blocks have in common, quickly: one random MiB, numbered.
data() {
	dd if=/dev/urandom of="$WORK/seed" bs=1M count=1 2>/dev/null
	i=0
	while [ $i -lt "$2" ]; do
		echo "block $i"
		cat "$WORK/seed"
		i=$((i + 1))
	done >"$1"
}
