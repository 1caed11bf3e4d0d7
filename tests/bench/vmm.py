# SPDX-License-Identifier: GPL-2.0-only
"""The programs that are compared, and the conversation with the guest in them (guest/bench)."""
import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import time
import tty

from counters import Counters

O = os.environ.get('O', 'build')
GUEST = f'{O}/guest/bench'
DISK_SIZE = 64 << 20


def lkvm_args(program, guest, mem, disk, tap, queues, console='serial'):
    args = [program, 'run', '-k', f'{GUEST}/{guest}.elf', '-m', str(mem), '-c', '1', '--debug-exit']
    if disk:
        args += ['-d', f'path={disk},queues={queues}']
    return args + ['-n', f'tap={tap}' if tap else 'none', '--console', console]


def vhost_args(program, guest, mem, disk, tap, queues, console='serial'):
    """lkvm whose packets the kernel moves; without packets it is as any other."""
    return lkvm_args(program, guest, mem, disk, f'{tap},vhost=on' if tap else None, queues, console)


def qemu_args(program, guest, mem, disk, tap, queues, console='serial'):
    args = [program, '-M', 'q35', '-accel', 'kvm', '-m', str(mem), '-nodefaults', '-display', 'none',
            '-no-reboot', '-name', 'bench,debug-threads=on',
            '-kernel', f'{GUEST}/{guest}.elf', '-device', 'isa-debug-exit,iobase=0x501,iosize=1']
    if console == 'serial':
        args += ['-serial', 'stdio']
    else:
        args += ['-chardev', 'stdio,id=c', '-device', 'virtio-serial-pci,disable-legacy=on', '-device', 'virtconsole,chardev=c']
    if disk:
        args += ['-object', 'iothread,id=io',
                 '-drive', f'if=none,id=d,format=raw,file={disk}', '-device',
                 f'virtio-blk-pci,drive=d,disable-legacy=on,iothread=io,num-queues={queues}']
    if tap:
        args += ['-netdev', f'tap,id=n,ifname={tap},script=no,downscript=no,vhost=off',
                 '-device', 'virtio-net-pci,netdev=n,disable-legacy=on,rx_queue_size=256']
    return args


def microvm_args(program, guest, mem, disk, tap, queues):
    """The start's: the machine of QEMU's that starts fastest, with its disk on virtio-mmio."""
    return [program, '-M', 'microvm,acpi=off,rtc=off,pit=off,pic=off,x-option-roms=off,isa-serial=on', '-accel', 'kvm',
            '-m', str(mem), '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio',
            '-kernel', f'{GUEST}/{guest}.elf', '-device', 'isa-debug-exit,iobase=0x501,iosize=1',
            '-object', 'iothread,id=io', '-drive', f'if=none,id=d,format=raw,file={disk}',
            '-device', f'virtio-blk-device,drive=d,iothread=io,num-queues={queues}']


def kvmtool_args(program, guest, mem, disk, tap, queues, console='serial'):
    args = [program, 'run', '-k', f'{GUEST}/{guest}.bzImage', '-m', str(mem), '-c', '1', '--console', console]
    if disk:
        args += ['-d', disk]
    return args + ['-n', f'mode=tap,tapif={tap},script=none,vhost=0' if tap else 'mode=none']


def make_disk(path, piece):
    """How it was written decides what the page cache has of it: the ext4 of today makes one large
    folio of a large write, and each small write to such a folio walks through all its blocks."""
    with open(path, 'wb', buffering=0) as f:
        for _ in range(DISK_SIZE // piece):
            f.write(b'\x55' * piece)


def programs(start=False):
    """name -> (how to call it, path): lkvm, and the peers that are there."""
    found = {'lkvm': (lkvm_args, './lkvm' if O == 'build' else f'{O}/lkvm')}
    more = os.environ.get('LKVM_BENCH_OPTIONS', '').split()  # the same with these: --poll-us 50
    if more:
        found['with'] = (lambda *args: lkvm_args(*args) + more, found['lkvm'][1])
    old = os.environ.get('LKVM_BENCH_OTHER')  # another lkvm: before and after a change
    if old:
        found['other'] = (lkvm_args, old)
    if os.path.exists('/dev/vhost-net') and not start:
        found['vhost'] = (vhost_args, found['lkvm'][1])
    qemu = os.environ.get('LKVM_BENCH_QEMU', shutil.which('qemu-system-x86_64'))
    if qemu:
        found['microvm' if start else 'qemu'] = (microvm_args if start else qemu_args, qemu)
    kvmtool = os.environ.get('LKVM_BENCH_KVMTOOL', shutil.which('lkvm-kvmtool'))
    if kvmtool:
        found['kvmtool'] = (kvmtool_args, kvmtool)
    return found


class Vmm:
    """One that runs, on a terminal of its own."""
    alive = []

    def __init__(self, args, count=True, detail=False):
        self.out = b''
        go_r, go_w = os.pipe()
        self.master, slave = pty.openpty()
        tty.setraw(slave)

        def wait_for_go():
            os.close(go_w)
            os.read(go_r, 1)

        # Popen returns only after the exec: so fork by hand, and count from before it.
        self.pid = os.fork()
        if not self.pid:
            try:
                wait_for_go()
                os.setsid()
                log = os.open(os.environ.get('BENCH_LOG', '/dev/null'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                for fd, to in ((slave, 0), (slave, 1), (log, 2)):
                    os.dup2(fd, to)
                os.execvp(args[0], args)
            finally:
                os._exit(125)
        os.close(slave)
        os.close(go_r)
        fcntl.fcntl(self.master, fcntl.F_SETFL, os.O_NONBLOCK)
        self.counters = Counters(self.pid, detail) if count else None
        self.began = time.monotonic()
        os.write(go_w, b'g')
        os.close(go_w)
        self.status = None
        Vmm.alive.append(self)

    def wait_for(self, what, seconds=90):
        """Reads until `what`; what was read, it included."""
        end = time.monotonic() + seconds
        while what not in self.out:
            left = end - time.monotonic()
            if left <= 0 or b'fail ' in self.out:
                raise RuntimeError(f'no {what} from the guest, but: {self.out[-300:]}')
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                self.out += os.read(self.master, 65536)
            except BlockingIOError:
                pass
            except OSError:
                raise RuntimeError(f'the VMM has ended: {self.out[-300:]}')
        got, _, self.out = self.out.partition(what)
        return got + what

    def say(self, text):
        os.write(self.master, text)

    def end(self):
        """Waits for it to end by itself."""
        Vmm.alive.remove(self)
        _, self.status, self.usage = os.wait4(self.pid, 0)
        os.close(self.master)

    def kill(self):
        os.kill(self.pid, signal.SIGCONT)
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def running(self):
        """Does a thread still run? Behind the name in brackets is its state."""
        for tid in os.listdir(f'/proc/{self.pid}/task'):
            try:
                with open(f'/proc/{self.pid}/task/{tid}/stat') as f:
                    if f.read().rpartition(') ')[2][0] in 'RSD':
                        return True
            except FileNotFoundError:
                pass  # it has just ended
        return False

    def look(self, at):
        """While all threads stand still: the CPU time of one that runs is known at its next tick only."""
        self.freeze()
        end = time.monotonic() + 1
        while self.running() and time.monotonic() < end:
            time.sleep(0.0002)
        what = at()
        self.thaw()
        return what


def sh(command):
    subprocess.run(command, shell=True, check=True)
