# SPDX-License-Identifier: GPL-2.0-only
"""Runs lkvm from outside, as a user would, and looks at what it leaves behind.

Every run has a folder of its own for temporary files and sockets, and is a child of a process that
inherits orphans: a helper that outlives lkvm is seen as a child of ours.
"""
import atexit
import ctypes
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A copy that everybody may run, wherever the tree is.
FOLDER = tempfile.mkdtemp(prefix="lkvm-cli.")
os.chmod(FOLDER, 0o755)
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
LKVM = shutil.copy(os.environ.get("LKVM", os.path.join(TOP, "lkvm")), os.path.join(FOLDER, "lkvm"))
# The guests of these tests are interpreted where KVM has no hardware; and machines are busy.
PATIENCE = 20

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Skip(Exception):
    """This machine cannot show it."""


class Failed(Exception):
    """lkvm did something else than it should."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


# --- guests ------------------------------------------------------------------------------------

# Says "up" on the serial port, then sends back each byte that comes in. The same in 32- and 64-bit mode.
ECHO = bytes.fromhex(
    "baf8030000"  # mov $0x3f8, %edx
    "b075ee b070ee b00aee"  # 'u' 'p' '\n'
    "bafd030000 ec a801 74f6"  # wait for LSR.DR
    "baf8030000 ec ee"  # echo
    "ebed".replace(" ", "")
)
# Ends lkvm through its debug-exit port with status 7.
EXIT7 = bytes.fromhex("ba01050000 b007 ee ebfe".replace(" ", ""))


def elf(code, address=0x100000):
    """The smallest ELF kernel: one segment, entered in 64-bit mode."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, address, 64, 0, 0,
                       64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, address, address, len(code), len(code), 0x1000)
    return (head + segment).ljust(0x1000, b"\0") + code


# --- one run -----------------------------------------------------------------------------------

class Box:
    """A folder for one test, with what lkvm may use for its own files apart from the test's."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="lkvm-cli.")
        os.chmod(self.dir, 0o755)
        self.own = os.path.join(self.dir, "own")
        os.mkdir(self.own)
        os.chmod(self.own, 0o1777)
        self.taps = set(os.listdir("/sys/class/net"))
        self.kernel = self.file("guest.elf", elf(ECHO))
        self.run = None

    def file(self, name, content=b"", mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as out:
            out.write(content)
        os.chmod(path, mode)
        return path

    def environment(self, **more):
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin", "HOME": self.dir,
               "TMPDIR": self.own, "XDG_RUNTIME_DIR": self.own, "LC_ALL": "C"}
        env.update(more)
        return env

    def start(self, argv, wrap=(), env=None, **how):
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.PIPE)
        how.setdefault("stderr", subprocess.PIPE)
        self.run = subprocess.Popen(list(wrap) + [LKVM] + list(argv), env=self.environment(**(env or {})),
                                    cwd=self.dir, **how)
        return self.run

    def finish(self, run):
        """status, stdout, stderr (as text) of a run, which has to end by itself."""
        try:
            out, err = run.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as late:
            ended = run.poll() is not None
            run.kill()
            raise Failed("it ended, but something has its stdout or stderr still open: %s" % orphans(run)
                         if ended else "it did not end; stderr: %r" % (late.stderr or b"")) from late
        return run.returncode, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")

    def leftovers(self):
        """Processes, sockets, files and interfaces that are still there; a moment is allowed."""
        deadline = time.monotonic() + 5
        while True:
            left = ["process %s" % name for name in orphans(self.run)]
            left += ["file %s" % name for name in os.listdir(self.own)]
            left += ["interface %s" % name for name in set(os.listdir("/sys/class/net")) - self.taps]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def clean(self):
        expect(not (left := self.leftovers()), "left behind: " + ", ".join(left))

    def close(self):
        if self.run and self.run.poll() is None:
            self.run.kill()
            self.run.wait()
        for pid in children():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(self.dir, ignore_errors=True)


def children():
    with open("/proc/self/task/%d/children" % os.getpid(), encoding="ascii") as pids:
        return [int(pid) for pid in pids.read().split()]


def orphans(run):
    names = []
    for pid in children():
        if run and run.returncode is None and pid == run.pid:
            continue
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                continue
            with open("/proc/%d/comm" % pid, encoding="utf-8") as comm:
                names.append(comm.read().strip())
        except (ChildProcessError, FileNotFoundError):
            pass
    return names


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < deadline, "waited in vain for " + what)
        time.sleep(0.02)


def read_until(stream, word):
    """What comes from a raw descriptor, up to and with word."""
    got = b""
    deadline = time.monotonic() + PATIENCE
    while word not in got:
        left = deadline - time.monotonic()
        expect(left > 0, "waited in vain for %r; there was %r" % (word, got))
        if select.select([stream], [], [], left)[0]:
            try:
                more = os.read(stream, 4096)
            except OSError:
                more = b""
            expect(more, "waited in vain for %r; it ended after %r" % (word, got))
            got += more
    return got


def one_line(err, pattern):
    """Silence or a paragraph is as bad as the wrong words."""
    lines = err.splitlines()
    expect(len(lines) == 1, "wanted one line on stderr, got %d: %r" % (len(lines), err))
    expect(lines[0].startswith("lkvm: "), "the line does not start with lkvm: %r" % lines[0])
    expect(re.search(pattern, lines[0]), "the line does not say /%s/: %r" % (pattern, lines[0]))


# --- terminals ---------------------------------------------------------------------------------

class Terminal:
    """A pseudo terminal whose foreground is lkvm."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.theirs)

    def foreground(self):
        """For a child: a session of its own with this terminal."""
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def is_raw(self):
        return not termios.tcgetattr(self.theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def restored(self):
        return termios.tcgetattr(self.theirs) == self.before

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


# --- TAP ---------------------------------------------------------------------------------------

class Cases(list):
    """A suite: pairs of what is shown and the function that shows it in a box of its own."""

    def case(self, text):
        def add(test):
            self.append((text, test))
            return test
        return add


def run_all(tests, names):
    bad = 0
    tests = [test for test in tests if not names or test[0] in names]
    for number, (text, test) in enumerate(tests, 1):
        box = Box()
        try:
            test(box)
            verdict = "ok %d - %s" % (number, text)
        except Skip as why:
            verdict = "ok %d - %s # SKIP %s" % (number, text, why)
        except Failed as why:
            bad += 1
            verdict = "not ok %d - %s\n# %s" % (number, text, why)
        finally:
            box.close()
        print(verdict, flush=True)
    print("1..%d" % len(tests))
    return bad > 0
