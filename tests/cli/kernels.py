# SPDX-License-Identifier: GPL-2.0-only
"""lkvm doctor -k and lkvm kconfig: what is wanted of a kernel, and what is found wanting."""
import glob
import os
import re

from harness import Cases, Skip, expect, one_line

OK, LKVM_FAILED = 0, 125
TESTS = Cases()
case = TESTS.case


def lkvm(box, *argv):
    return box.finish(box.start(list(argv)))


def fragment(box, *argv):
    status, out, err = lkvm(box, "kconfig", *argv)
    expect(status == OK and not err, "status %d, stderr %r" % (status, err))
    return out


@case("a kernel with all of lkvm kconfig lacks nothing")
def _(box):
    config = box.file("config", fragment(box).encode())
    status, out, err = lkvm(box, "doctor", "-k", config, "--for", "disk,net,console,command,panic,watchdog,debug")
    expect(status == OK and not err, "status %d: %s%s" % (status, out, err))
    expect(all(line.startswith("ok ") for line in out.splitlines()), out)


@case("each symbol that is taken away is missed, by name")
def _(box):
    text = fragment(box)
    symbols = re.findall("^CONFIG_(.*)=y$", text, re.M)
    expect(len(symbols) > 20, "only %d symbols" % len(symbols))
    # A symbol that is there only for another one is not asked for while that one is there.
    quiet = {"HYPERVISOR_GUEST", "PARAVIRT", "VIRTIO_MENU", "TTY", "BLK_DEV", "NETDEVICES", "NET_CORE", "PVPANIC",
             "WATCHDOG"}
    for symbol in symbols:
        config = box.file("config", text.replace("CONFIG_%s=y\n" % symbol, "# CONFIG_%s is not set\n" % symbol).encode())
        _, out, _ = lkvm(box, "doctor", "-k", config)
        named = re.search("^(FAIL|note) .*CONFIG_%s " % symbol, out, re.M)
        expect(bool(named) == (symbol not in quiet), "without %s: %s" % (symbol, out))


@case("a module needs an initramfs")
def _(box):
    text = fragment(box).replace("VIRTIO_BLK=y", "VIRTIO_BLK=m").encode()
    config = box.file("config", text)
    status, out, _ = lkvm(box, "doctor", "-k", config, "--for", "disk")
    expect(status == LKVM_FAILED and re.search(r"^FAIL +disk .*virtio_blk\.ko.*Fix", out, re.M), out)
    status, out, _ = lkvm(box, "doctor", "-k", config, "--for", "disk", "-i", "initrd")
    expect(status == OK and re.search(r"^note +disk .*virtio_blk\.ko", out, re.M), out)
    status, out, _ = lkvm(box, "doctor", "-k", config, "--for", "net")
    expect(status == OK and "virtio_blk" not in out, out)


@case("Debian's kernels, by the configuration beside them")
def _(box):
    cache = os.environ.get("LKVM_CACHE", os.path.join(os.path.expanduser("~"), ".cache/lkvm"))
    kernels = [k for k in glob.glob(cache + "/**/vmlinuz*", recursive=True) + glob.glob("/boot/vmlinuz-*")
               if glob.glob(os.path.dirname(k) + "/config-*")]
    if not kernels:
        raise Skip("no kernel with a configuration in %s or /boot" % cache)
    status, out, err = lkvm(box, "doctor", "-k", kernels[0], "-i", "initrd", "--for", "disk,net,console,command")
    expect(status == OK and "virtio_blk.ko" in out, "status %d: %s%s" % (status, out, err))


@case("a kernel that is not there, and devices that are not")
def _(box):
    for argv, pattern in (
            (["doctor", "-k", box.dir + "/absent"], r"absent: No such file"),
            (["doctor", "-k", box.kernel], r"cannot find the configuration.*-k"),
            (["doctor", "-k", box.kernel, "--for", "tape"], r"--for: 'tape' .*disk"),
            (["doctor", "--for", "disk"], r"which kernel"),
            (["kconfig", "--for", "tape"], r"--for: 'tape' .*disk")):
        status, _, err = lkvm(box, *argv)
        one_line(err, pattern)
        expect(status == LKVM_FAILED, "%s: status %d" % (argv, status))
