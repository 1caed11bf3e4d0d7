# SPDX-License-Identifier: GPL-2.0-only
# What the scripts of tools/ and tests/ share: messages, the cache, Debian packages and kernels.
# POSIX sh, to be sourced with $TOP set to the top of the source tree.
# shellcheck shell=sh
#
# Functions that answer print their answer on stdout; whatever is for people goes to stderr.

LKVM_CACHE=${LKVM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lkvm}
ME=$(basename "$0")

say() { echo "$ME: $*" >&2; }
die() { say "$*"; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

make_cache() {
	mkdir -p "$LKVM_CACHE" 2>/dev/null && [ -w "$LKVM_CACHE" ] ||
		die "cannot write in $LKVM_CACHE. Fix: set LKVM_CACHE to a folder that you can write in"
}

# --- Debian packages, by name only -----------------------------------------------------------

# as_root CMD...: runs CMD with root's rights, or fails silently when there is no way to get them.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 77
	fi
}

# apt_get ARG...: apt-get with no questions, waiting for another apt to finish; its words are kept in
# $apt_log and shown only when they are wanted.
apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 "$@" </dev/null >"$apt_log" 2>&1
}

apt_words() { grep -E '^(E|W|Err)[: ]' "$apt_log" | sort -u | tail -n 5 | sed 's/^/    /' >&2; }

# Once per run: a machine that was just installed, or made from an image, has old lists or none.
apt_update() {
	[ -z "$apt_updated" ] || return 0
	apt_updated=yes
	say "updating the package lists"
	apt_get update && return 0
	say "apt-get update failed; going on with the lists there are. It said:"
	apt_words
}
apt_updated=

missing_packages() {
	for pkg; do
		case $(dpkg-query -W -f '${Status}' "$pkg" 2>/dev/null) in
		*' installed') ;;
		*) echo "$pkg" ;;
		esac
	done
}

# need_packages PKG...: installs those that are not there yet.
need_packages() {
	have dpkg-query && have apt-get ||
		die "this needs Debian's apt-get. Elsewhere install by hand what these hold: $*"
	# shellcheck disable=SC2046 # package names hold no spaces
	set -- $(missing_packages "$@")
	[ $# -gt 0 ] || return 0
	as_root true ||
		die "needs root to install packages. Fix: run it as root or with sudo, or first: apt-get install $*"
	apt_log=$(mktemp) || exit 1
	apt_update
	say "installing $*"
	if ! apt_get install --no-install-recommends "$@"; then
		say "apt-get install failed. It said:"
		apt_words
		rm -f "$apt_log"
		die "cannot install: $* (is there a network, and a Debian mirror in /etc/apt/sources.list*?)"
	fi
	rm -f "$apt_log"
}

# --- Debian kernels --------------------------------------------------------------------------

# The real package behind linux-image-amd64 or linux-image-cloud-amd64.
real_package() {
	LC_ALL=C apt-cache depends "$1" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

# download_package PKG: leaves the .deb in $download. apt drops root's rights to the user _apt while
# it downloads, so the folder must be one which _apt can reach and write in: not the cache in
# root's home.
download_package() {
	download=$(mktemp -d /var/tmp/lkvm.XXXXXX) || exit 1
	chmod 755 "$download"
	if [ "$(id -u)" = 0 ]; then chown _apt "$download" 2>/dev/null; fi
	(cd "$download" && apt-get -q -o Acquire::Retries=3 download "$1" >"$download/log" 2>&1) && return 0
	apt_log=$download/log
	return 1
}

# debian_kernel cloud|full: prints the folder of an unpacked kernel package: vmlinuz, lib/modules/*.
# One that is in the cache is used without a network.
debian_kernel() {
	case $1 in
	cloud) meta=linux-image-cloud-amd64 suffix=-cloud-amd64 ;;
	full) meta=linux-image-amd64 suffix=-amd64 ;;
	esac
	make_cache
	pkg=$(real_package $meta)
	if [ -z "$pkg" ]; then
		pkg=$(cached_kernel "$suffix")
		[ -n "$pkg" ] || { refresh_lists; pkg=$(real_package $meta); }
		[ -n "$pkg" ] || die "the package lists do not know $meta. Fix: apt-get update, with a Debian mirror in /etc/apt/sources.list*"
	fi
	[ -e "$LKVM_CACHE/kernel/$pkg/vmlinuz" ] || fetch_kernel "$pkg"
	echo "$LKVM_CACHE/kernel/$pkg"
}

# The newest in the cache whose name ends in $1 and has only a version before it.
cached_kernel() {
	ls "$LKVM_CACHE/kernel" 2>/dev/null | grep -E "^linux-image-[0-9.]+-[0-9]+$1\$" | sort -V | tail -n 1
}

refresh_lists() {
	apt_log=$(mktemp) || exit 1
	as_root true && apt_update
	rm -f "$apt_log"
}

fetch_kernel() {
	say "downloading $1"
	if ! download_package "$1"; then
		# The lists may name a version that the mirror has replaced.
		rm -rf "$download"
		refresh_lists
		if ! download_package "$1"; then
			say "apt-get download $1 failed. It said:"
			apt_words
			rm -rf "$download"
			die "cannot fetch Debian's kernel (is there a network?)"
		fi
	fi
	unpack=$LKVM_CACHE/kernel/.new.$$
	rm -rf "$unpack" && mkdir -p "$unpack"
	dpkg -x "$download"/*.deb "$unpack" ||
		{ rm -rf "$download" "$unpack"; die "cannot unpack $1 in $LKVM_CACHE (is the disk full?)"; }
	rm -rf "$download"
	version=$(ls "$unpack/lib/modules")
	busybox depmod -b "$unpack" "$version" && ln -s "boot/vmlinuz-$version" "$unpack/vmlinuz" ||
		{ rm -rf "$unpack"; die "$1 does not hold what a Debian kernel package holds"; }
	# Two runs may race to this line; both have the same thing.
	mv -T "$unpack" "$LKVM_CACHE/kernel/$1" 2>/dev/null || rm -rf "$unpack"
}

# --- the host --------------------------------------------------------------------------------

# Hardware virtualisation or not? A /dev/kvm may be there without it and interpret its guests, at
# about a million instructions a second: a Linux kernel would take minutes to unpack itself. lkvm
# measures that; before it is built the processor's flags have to do.
# LKVM_TEST_DIRECT=1 or 0 answers instead.
kvm_is_fast() {
	case ${LKVM_TEST_DIRECT:-} in
	1) return 0 ;;
	0) return 1 ;;
	esac
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	if [ -x "$TOP/lkvm" ]; then
		! "$TOP/lkvm" doctor 2>/dev/null | grep -q 'software KVM'
	else
		grep -qwE 'vmx|svm' /proc/cpuinfo
	fi
}
