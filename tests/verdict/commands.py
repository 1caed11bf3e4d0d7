# SPDX-License-Identifier: GPL-2.0-only
"""A command's end as lkvm's status: guest/ends plays the guest's first process, over the serial line."""
import os
import re
import subprocess
import time

OK, PANIC, FAIL, LOCKUP, GONE, TIMEOUT, FAILED = 0, 120, 121, 122, 123, 124, 125
PANIC_LINE = r'say "Kernel panic - not syncing: x\n"'
OOPS_LINE = r'say "BUG: kernel NULL pointer dereference, address: 0\n"'
PIECE = bytes((ord("!") + i % 64) if i % 64 != 63 else 10 for i in range(4096))

# name, script, options, status, what the first of lkvm's lines has (None: it says nothing), KiB on stdout
CASES = [("exit %d" % code, "hello 1 out 1 end 0 %d off" % code, "", code, None, 1)
         for code in (0, 1, 7, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 255)]
CASES += [
    ("SIGSEGV", "hello 1 out 1 end 1 11 off", "", 139, None, 1),
    ("SIGKILL", "hello 1 out 1 end 1 9 off", "", 137, None, 1),
    ("missing", "hello 1 end 3 2 off", "", 127, None, 0),
    ("not executable", "hello 1 end 2 13 off", "", 126, None, 0),
    ("something before it failed", "hello 1 end 4 2 off", "", FAILED, None, 0),
    ("it has ended, and the guest reboots", "hello 1 end 0 3 reboot-acpi", "", 3, None, 0),
    ("power-off before the status", "hello 1 out 1 off", "", GONE, r"powered off \(acpi\) before the command's status", 1),
    ("reboot before the status", "hello 1 reboot-i8042", "", GONE, r"rebooted .* before the command's status", 0),
    ("triple fault before the status", "hello 1 triple", "", GONE, r"triple fault", 0),
    ("no word from the first process", "io 1000 off", "", GONE, r"before the command's status", 0),
    ("a panic before the status", "hello 1 %s hang-off" % PANIC_LINE, "", PANIC, r"panicked: Kernel panic", 0),
    ("a panic after it", "hello 1 end 0 0 %s hang-off" % PANIC_LINE, "", PANIC, r"panicked: Kernel panic", 0),
    ("an oops and a status", "hello 1 %s end 0 0 off" % OOPS_LINE, "", FAIL, r"oops: BUG: kernel NULL", 0),
    ("no end", "hello 1 out 1 hang-on", "--timeout 700ms", TIMEOUT, r"--timeout", 1),
    ("what was expected doesn't come", "hello 1 end 0 0 off", "--expect passed", GONE, r"'passed' was never seen", 0),
    ("a failure where something was expected", "hello 1 end 0 5 off", "--expect passed", 5, None, 0),
    ("fewer bytes than it says", "hello 1 out 1 lie 9 end 0 7 off", "", 7, None, 1),
    ("a status that there isn't", "hello 1 end 0 256 off", "--timeout 700ms", TIMEOUT, r"talks nonsense", 0),
    ("a first process of another version", "hello 2 off", "", GONE, r"of version 2, .* of version 1", 0),
    ("nonsense on the line", "hello 1 noise 3 off", "", GONE, r"talks nonsense on the serial line", 0),
    ("noise before the greeting", "noise 3 hello 1 out 1 end 0 7 off", "", 7, None, 1),
    ("24 KiB", "hello 1 out 24 err 8 end 0 7 off", "", 7, None, 24),
]
STREAMS = ["exit 7", "exit 127", "SIGSEGV", "power-off before the status", "a panic after it", "24 KiB"]
HOW = ["stdin closed", "stdout closed", "stdout a slow reader", "no terminal"]


def expected(kib):
    size = 1024 if kib < 4 else 4096
    return b"".join(b"%08d" % (n % 10 ** 8) + PIECE[8:size] for n in range(kib * 1024 // size))


def run(argv, how):
    def prepare():
        if how == "stdin closed":
            os.close(0)
        elif how == "stdout closed":
            os.close(1)

    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=prepare, start_new_session=how == "no terminal")
    if how == "stdout a slow reader":
        time.sleep(0.5)
    try:
        out, err = child.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        return "none after 60 s", out, err
    return child.returncode, out, err


def check(lkvm, guest, report, case, cpus, how=None):
    name, script, options, want, pattern, kib = case
    argv = [lkvm, "run", "-m", "16", "-c", str(cpus), "-k", guest, "-p", "ends " + script] + options.split()
    status, out, err = run(argv + ["--", "true"], how)
    said = [line for line in err.decode(errors="replace").splitlines()
            if line.startswith("lkvm: ") and not line.endswith("the end of the guest's console:")]
    good = status == want and (out == expected(kib) or how == "stdout closed")
    good = good and (bool(said) and bool(re.search(pattern, said[0])) if pattern else not said)
    report(good, "a command, %s, %d vCPU%s%s" % (name, cpus, "s" if cpus > 1 else "", ", " + how if how else ""),
           "status %s, wanted %d" % (status, want), "%d bytes, wanted %d" % (len(out), kib * 1024),
           "stderr: %r, wanted %s" % (err[-500:], pattern))


def all_cases(lkvm, guest, report, wanted):
    for case in CASES:
        for cpus in (1, 4):
            if not wanted or any(w in "a command, " + case[0] for w in wanted):
                check(lkvm, guest, report, case, cpus)
    for case in CASES:
        for how in HOW:
            if case[0] in STREAMS and (not wanted or any(w in how for w in wanted)):
                check(lkvm, guest, report, case, 4 if how == "stdin closed" else 1, how)
