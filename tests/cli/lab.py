# SPDX-License-Identifier: GPL-2.0-only
"""lkvm test: guests that end each in its way, and what is made of it."""
import json
import os
import re
import signal
import time
import tomllib
import xml.etree.ElementTree as xml

from harness import EXIT7, Cases, elf, expect, one_line, wait_until

TESTS = Cases()
case = TESTS.case
EXIT0 = EXIT7.replace(bytes([0xb0, 7]), bytes([0xb0, 0]))
# Three bytes that XML cannot hold, then a triple fault: an empty IDT and an exception.
BINARY_THEN_GONE = bytes.fromhex("baf8030000 b01b ee b000 ee b03c ee b00a ee".replace(" ", "")) + \
    bytes.fromhex("6a00 6a00 0f011c24 0f0b ebfe".replace(" ", ""))


def prepare(box, text):
    box.file("exit0.elf", elf(EXIT0))
    box.file("exit7.elf", elf(EXIT7))
    box.file("gone.elf", elf(BINARY_THEN_GONE))
    return box.file("tests.toml", text.encode())


ALL = """
options = ["--debug-exit"]      # for all
timeout = 20
[[test]]
name = "fine"
kernel = "exit0.elf"
cpus = [1, 2]
[[test]]
name = "seven <&> \\"7\\""
kernel = ["exit7.elf", "exit0.elf"]
status = 7
[[test]]
name = "hangs"
kernel = "guest.elf"
timeout = 1
status = 124
[[test]]
name = "gone"
kernel = "gone.elf"
[[test]]
name = "absent"
kernel = "absent.elf"
"""


@case("test: a command's run in JUnit")
def _(box):
    path = prepare(box, '[[test]]\nname = "c"\nkernel = "gone.elf"\ncommand = ["true"]\n')
    status, out, err = box.finish(box.start(["test", path, "--junit", "junit.xml", "--artifacts", "art"]))
    expect(status == 1 and not err, "status %d: %s%s" % (status, out, err))
    art = os.path.join(box.dir, "art", os.listdir(os.path.join(box.dir, "art"))[0])
    one = xml.parse(os.path.join(box.dir, "junit.xml")).getroot().find("testsuite").find("testcase")
    errs = [e.text for e in one.findall("system-err")]
    expect(os.path.getsize(os.path.join(art, "stdout")) == 0 and one.find("system-out") is None, "nothing was written")
    expect(len(errs) == 2 and "triple fault" in errs[0] and "<" in errs[1], str(errs))


@case("test: a line for each run, files for each, and JUnit")
def _(box):
    path = prepare(box, ALL)
    status, out, err = box.finish(box.start(["test", path, "-j", "2", "--junit", "junit.xml", "--artifacts", "art"]))
    expect(status == 1 and not err, "status %d: %s%s" % (status, out, err))
    lines = out.splitlines()
    for line in (r"ok .* fine \[cpus=1\]$", r"ok .* fine \[cpus=2\]$", r'ok .* seven <&> "7" \[kernel=exit7.elf\]$',
                 r'FAIL .* seven .*kernel=exit0.elf\]: status 0, wanted was 7', r"ok .* hangs$",
                 r"FAIL .* gone: status 123, wanted was 0: .*triple fault|FAIL .* gone: status 123",
                 r"FAIL .* absent: status 125, wanted was 0: .*absent.elf: No such file", r"4 passed, 3 failed$"):
        expect([1 for text in lines if re.match(line, text)], "no %r in %s" % (line, out))
    root = xml.parse(os.path.join(box.dir, "junit.xml")).getroot()
    suite = root.find("testsuite")
    cases = {c.get("name"): c for c in suite.iter("testcase")}
    expect((suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "2", "1"), str(suite.attrib))
    expect(cases['seven <&> "7" [kernel=exit7.elf]'].find("failure") is None, "seven")
    expect("wanted was 0" in cases["gone"].find("failure").get("message"), "gone")
    expect("<" in cases["gone"].find("system-out").text, "the console in JUnit")
    expect("No such file" in cases["absent"].find("error").get("message"), "absent")
    folders = sorted(os.listdir(os.path.join(box.dir, "art")))
    expect(len(folders) == 7 and folders[0] == "001-fine-cpus-1" and folders[3] == "004-seven-7-kernel-exit0-elf",
           str(folders))
    with open(os.path.join(box.dir, "art", "006-gone", "result.json"), encoding="utf-8") as file:
        result = json.load(file)
    expect(result["verdict"] == "gone" and result["console_tail"].startswith("\x1b\0<"), str(result))
    box.clean()


@case("test: TAP, and nothing kept without --artifacts")
def _(box):
    path = prepare(box, 'options = ["--debug-exit"]\n[[test]]\nname = "a # b"\nkernel = ["exit0.elf", "exit0.elf"]\n')
    status, out, err = box.finish(box.start(["test", path, "--tap"]))
    expect(status == 0 and not err, "status %d: %s%s" % (status, out, err))
    expect(re.match(r"TAP version 13\n1\.\.2\nok 1 - a \\# b \[kernel=exit0\.elf\] .*\nok 2 - a ", out), out)
    expect(out.endswith("# 2 passed, 0 failed\n"), out)
    box.clean()


@case("test: --list runs nothing")
def _(box):
    status, out, _ = box.finish(box.start(["test", "--list", prepare(box, ALL)]))
    expect(status == 0 and out.splitlines()[:2] == ["fine [cpus=1]", "fine [cpus=2]"] and len(out.splitlines()) == 7, out)


@case("test: what our parser takes, Python's takes for the same")
def _(box):
    with open(prepare(box, ALL), "rb") as file:
        doc = tomllib.load(file)
    names = [test["name"] for test in doc["test"]]
    _, out, _ = box.finish(box.start(["test", "--list", "tests.toml"]))
    for name in names:
        expect(name in out, "%r is not in %s" % (name, out))


@case("test: paths are those of the file's folder")
def _(box):
    prepare(box, "")
    os.mkdir(os.path.join(box.dir, "sub"))
    os.rename(os.path.join(box.dir, "exit0.elf"), os.path.join(box.dir, "sub", "exit0.elf"))
    box.file("sub/tests.toml", b'[[test]]\nname = "a"\nkernel = "exit0.elf"\noptions = ["--debug-exit"]\n')
    status, out, _ = box.finish(box.start(["test", "sub/tests.toml"]))
    expect(status == 0, out)


for SIGNAL in (signal.SIGINT, signal.SIGTERM):
    def stopped(box, signo=SIGNAL):
        path = prepare(box, '[[test]]\nname = "h"\nkernel = "guest.elf"\ncpus = [1, 1, 1, 1]\n')
        run = box.start(["test", path, "-j", "2", "--junit", "j.xml"])
        wait_until(lambda: running_children(run.pid) == 2, "two runs")
        time.sleep(0.5)
        run.send_signal(signo)
        status, out, err = box.finish(run)
        one_line(err, "SIG(INT|TERM): ending")
        expect(status == 125 and "0 passed, 0 failed, 4 not run" in out, "status %d: %s" % (status, out))
        skipped = xml.parse(os.path.join(box.dir, "j.xml")).getroot().findall(".//skipped")
        expect(len(skipped) == 4, "%d skipped" % len(skipped))
        box.clean()
    TESTS.append(("test: %s ends all runs" % SIGNAL.name, stopped))


@case("test: SIGKILL leaves no run behind")
def _(box):
    path = prepare(box, '[[test]]\nname = "h"\nkernel = "guest.elf"\n')
    run = box.start(["test", path, "--artifacts", "art"])
    wait_until(lambda: running_children(run.pid) == 1, "a run")
    run.kill()
    run.wait()
    wait_until(lambda: not [left for left in box.leftovers() if left.startswith("process")], "its end")


def running_children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as pids:
        return len(pids.read().split())


@case("test: what is wrong with a file, by line and column")
def _(box):
    for text, pattern in (("[[test]]\nname = \"a\nkernel = 'k'", r"tests\.toml:2:8: this string does not end"),
                          ("kernel = 'k'\ncolour = 1\n", r"tests\.toml:2:1: 'colour' is not one of: kernel, "),
                          ("", r"no \[\[test\]\]")):
        status, out, err = box.finish(box.start(["test", prepare(box, text)]))
        one_line(err, pattern)
        expect(status == 125 and not out, "status %d, %r" % (status, out))
    for argv, pattern in ((["test"], "which tests"), (["test", "absent"], "absent: No such file"),
                          (["test", prepare(box, ALL), "--artifacts", "/no/such/folder"], "/no/such/folder"),
                          (["test", "tests.toml", "-j", "0"], "jobs.*1")):
        status, _, err = box.finish(box.start(argv))
        one_line(err, pattern)
        expect(status == 125, "status %d" % status)
    box.clean()
