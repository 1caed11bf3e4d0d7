# SPDX-License-Identifier: GPL-2.0-only
# Makes what guests start from: roots with busybox, programs and kernel modules in them, and the
# initramfs and ext4 images of such roots. Needs busybox-static, cpio, gzip and e2fsprogs; no root.
# POSIX sh, to be sourced after tools/lib.sh. Bodies in ( ) keep their variables to themselves.
# shellcheck shell=sh

# new_root DIR: folders, busybox and the names of its applets.
new_root() (
	rm -rf "$1"
	mkdir -p "$1/bin" "$1/dev" "$1/proc" "$1/sys" "$1/tmp" "$1/etc" "$1/mnt" "$1/run" "$1/root" "$1/lib" || return 1
	ln -s bin "$1/sbin"
	mkdir -p "$1/usr" && ln -s ../bin "$1/usr/bin" && ln -s ../bin "$1/usr/sbin"
	chmod 1777 "$1/tmp"
	cp /bin/busybox "$1/bin/busybox"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
)

# add_modules ROOT KERNELDIR NAME...: copies those modules and what they need. ROOT/lib/modules.load
# lists them in the order of loading; those built into this kernel are left out.
add_modules() (
	root=$1 kernel=$2
	shift 2
	tree=$(echo "$kernel"/lib/modules/*)
	mkdir -p "$root/lib/modules"
	module_order "$tree" "$@" >"$root/lib/modules.paths" || return 1
	: >"$root/lib/modules.load"
	while read -r path; do
		cp "$tree/$path" "$root/lib/modules/" || return 1
		echo "/lib/modules/${path##*/}" >>"$root/lib/modules.load"
	done <"$root/lib/modules.paths"
	rm "$root/lib/modules.paths"
)

# Each module after all that it depends on, by a walk over modules.dep.
module_order() (
	tree=$1
	shift
	awk -v wanted="$*" '
	function name(path) {
		sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path)
		return path
	}
	function visit(mod,	i, n, list) {
		if (mod in seen) return
		seen[mod] = 1
		n = split(deps[mod], list, " ")
		for (i = 1; i <= n; i++) visit(name(list[i]))
		print file[mod]
	}
	FILENAME ~ /builtin$/ { builtin[name($1)] = 1; next }
	{ path = $1; sub(/:$/, "", path); file[name(path)] = path; $1 = ""; deps[name(path)] = $0 }
	END {
		n = split(wanted, want, " ")
		for (i = 1; i <= n; i++) {
			mod = name(want[i])
			if (mod in file) visit(mod)
			else if (!(mod in builtin)) {
				print "this kernel has no module " want[i] > "/dev/stderr"
				exit 1
			}
		}
	}' "$tree/modules.builtin" "$tree/modules.dep"
)

# add_program ROOT PROGRAM...: copies host programs with their shared libraries, to the same paths.
add_program() (
	root=$1
	shift
	for prog; do
		prog=$(command -v "$prog") || { say "no such program: $prog"; return 1; }
		prog=$(readlink -f "$prog")
		# What stands in the place of an applet's link must not be written through it.
		rm -f "$root/bin/${prog##*/}"
		cp "$prog" "$root/bin/" || return 1
		for lib in $(ldd "$prog" 2>/dev/null | grep -o '/[^ ]*'); do
			mkdir -p "$root${lib%/*}"
			[ -e "$root$lib" ] || cp "$lib" "$root$lib" || return 1
		done
	done
)

# make_initramfs ROOT OUT: ROOT/init is what runs. Little compression: the guest pays for unpacking.
make_initramfs() {
	(cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$2"
}

# make_ext4 OUT SIZE [ROOT [MKE2FS OPTION...]]: a sparse image, filled from ROOT.
make_ext4() (
	out=$1 size=$2 root=${3:-}
	shift 2
	[ $# -eq 0 ] || shift
	PATH=$PATH:/usr/sbin:/sbin
	rm -f "$out" && truncate -s "$size" "$out" || return 1
	mke2fs -q -F -t ext4 -E root_owner=0:0,lazy_itable_init=1 ${root:+-d "$root"} "$@" "$out" >&2
)
