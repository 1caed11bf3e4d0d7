# SPDX-License-Identifier: GPL-2.0-only
"""lkvm run --result: what the file says, whatever the guest says and however it ends."""
import json
import os
import signal
import subprocess
import time

from harness import EXIT7, LKVM, Cases, elf, expect, one_line, read_until, wait_until

TESTS = Cases()
case = TESTS.case


def result(box, name="result.json"):
    with open(os.path.join(box.dir, name), encoding="utf-8") as file:
        return json.load(file)


def check(box, run, status, verdict, cause):
    got, _, err = box.finish(run)
    expect(got == status, "status %d, not %d; stderr %r" % (got, status, err))
    file = result(box)
    expect((file["status"], file["verdict"]) == (status, verdict), str(file))
    expect(cause in file["cause"], "cause %r" % file["cause"])
    expect(file["reproduce"].startswith("cd %s && %s run " % (box.dir, LKVM)), file["reproduce"])
    names = [phase["name"] for phase in file["phases"]]
    times = [phase["seconds"] for phase in file["phases"]]
    expect(times == sorted(times) and all(t <= file["seconds"] for t in times), str(file["phases"]))
    expect(len(os.listdir(box.dir)) == len([n for n in os.listdir(box.dir) if "result.json." not in n]),
           "a temporary file is left")
    box.clean()
    return file, names


@case("result: a status of the guest's own")
def _(box):
    kernel = box.file("it's a guest.elf", elf(EXIT7))
    run = box.start(["run", "--result", "result.json", "--debug-exit", kernel])
    file, names = check(box, run, 7, "status", "status 7")
    expect(names == ["first_instruction", "end"], str(names))
    # The line is the shell's to run, and leads to the same end.
    again = subprocess.run(["sh", "-c", file["reproduce"]], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    expect(again.returncode == 7, "reproduce: %r" % again)


@case("result: a time-out, after every byte there is")
def _(box):
    run = box.start(["run", "--result", "result.json", "--timeout", "2", "-k", box.kernel], stdin=subprocess.PIPE)
    read_until(run.stdout.fileno(), b"up\n")
    run.stdin.write(bytes(range(256)) + b"\xe2\x82\xac last")
    run.stdin.flush()
    read_until(run.stdout.fileno(), b"last")
    file, names = check(box, run, 124, "timeout", "--timeout")
    expect(names == ["first_instruction", "first_console_byte", "end"], str(names))
    tail = file["console_tail"]
    expect(tail.startswith("up\n\0\x01\x02") and tail.endswith("\u20ac last"), repr(tail))
    expect("\x1b" in tail and '"' in tail and "\ufffd" in tail, repr(tail))
    expect(file["console_bytes"] == 3 + 256 + 8, str(file["console_bytes"]))


def out_bytes(port, data):
    return b"\x66\xba" + port.to_bytes(2, "little") + b"".join(b"\xb0%c\xee" % c for c in data)


@case("result: --debug-exits counts every exit, before userspace and after")
def _(box):
    code = out_bytes(0x80, b"xx") + out_bytes(0x3F8, b"Run /init as init process\nhello\n")
    code += b"\x66\xba\x71\x00" + b"\xec" * 3  # three reads of the clock
    run = box.start(["run", "--result", "result.json", "--debug-exits", "--debug-exit",
                     box.file("exits.elf", elf(code + EXIT7))])
    status, _, err = box.finish(run)
    expect(status == 7, "status %d: %s" % (status, err))
    exits = result(box)["exits"]
    rows = {(r["bus"], r["write"], r["device"], r["at"]): (r["before"], r["after"]) for r in exits["accesses"]}
    expect(rows == {("pio", True, None, 0x80): (2, 0), ("pio", True, "serial0", 0): (26, 6),
                    ("pio", False, "rtc", 1): (0, 3), ("pio", True, "debug-exit", 0): (0, 1)}, str(rows))
    reasons = {r["name"]: (r["before"], r["after"]) for r in exits["reasons"]}
    expect(reasons["port access"] == (28, 10) and exits["before"] == 28, str(exits))
    lines = err.splitlines()
    expect(all(line.startswith("lkvm: ") for line in lines) and
           any(line.split() == "lkvm: 26 6 pio write serial0 + 0".split() for line in lines), err)
    kvm = {r["name"]: r["before"] for r in exits["kvm"]}
    expect(not kvm or 28 <= kvm["exits"] < 28 + 1000, str(kvm))
    box.clean()


@case("result: the tail of a long console is bounded and begins with a line")
def _(box):
    run = box.start(["run", "--result", "result.json", "-k", box.kernel], stdin=subprocess.PIPE)
    read_until(run.stdout.fileno(), b"up\n")
    lines = b"".join(b"line %d\n" % n for n in range(3000))
    run.stdin.write(lines + b"!")
    run.stdin.flush()
    read_until(run.stdout.fileno(), b"!")
    run.send_signal(signal.SIGINT)
    file, _ = check(box, run, 123, "gone", "SIGINT")
    tail = file["console_tail"]
    expect(tail.startswith("line ") and tail.endswith("line 2999\n!") and 16000 < len(tail) <= 16384,
           "%d characters: %r" % (len(tail), tail[:40]))


@case("result: a machine that could not be built")
def _(box):
    run = box.start(["run", "--result", "result.json", "-k", box.kernel, "-d", "absent"])
    _, names = check(box, run, 125, "failed", "cannot open absent")
    expect(not names, str(names))


@case("result: an old file goes only when there is a new one")
def _(box):
    box.file("result.json", b'"old"')
    run = box.start(["run", "--result", "result.json", "-k", box.kernel])
    read_until(run.stdout.fileno(), b"up\n")
    expect(result(box) == "old", "it is gone already")
    run.kill()
    run.wait()
    time.sleep(0.1)
    expect(result(box) == "old", "it went")
    wait_until(lambda: not box.leftovers(), "nothing to be left")


@case("result: a place where no file can be made")
def _(box):
    status, out, err = box.finish(box.start(["run", "--result", "/no/such/folder/r", "-k", box.kernel]))
    one_line(err, r"result /no/such/folder/r: No such file")
    expect(status == 125 and not out, "status %d" % status)


@case("result: ends before there is a machine")
def _(box):
    for words, status, verdict, cause in (
            (["--cpus", "0", box.kernel], 125, "failed", "--cpus: '0' is not a number"),
            (["-k", box.kernel, "--", "no-such-program"], 127, "status", "no-such-program: not found on this host"),
            (["-k", box.kernel, "--", box.file("text", b"no program")], 126, "status", "not executable"),
            (["-k", "no-such-kernel"], 125, "failed", "no-such-kernel: No such file")):
        _, names = check(box, box.start(["run", "--result", "result.json"] + words), status, verdict, cause)
        expect(names == [], str(names))
        os.unlink(os.path.join(box.dir, "result.json"))
    got, _, err = box.finish(box.start(["run", "--result", "no/such/dir/r.json", "-k", box.kernel, "--", "no-such"]))
    expect(got == 127 and "cannot write result" in err, "%d, %r" % (got, err))
