# SPDX-License-Identifier: GPL-2.0-only
"""What a start costs: from exec to the first instruction of a guest and to the end of one that ends
at once; and the memory of one that stays."""
import statistics
import struct
import time

import counters
import vmm

SIZES = (128, 4096)
PAUSE = 0.05
PEAKS = 4  # starts that are watched for their memory, which slows them down


def loaded(path):
    """What of an ELF file is mapped: without debugging information."""
    with open(path, 'rb') as f:
        head = f.read(64)
        at, size, n = struct.unpack_from('<Q', head, 32)[0], *struct.unpack_from('<HH', head, 54)
        f.seek(at)
        headers = [struct.unpack_from('<IIQQQQ', f.read(size)) for _ in range(n)]
    return sum(h[5] for h in headers if h[0] == 1)


def counted(make, path, mem, disk):
    """The system calls, in a start of its own: counting them costs CPU time."""
    v = vmm.Vmm(make(path, 'stop', mem, disk, None, 4))
    v.end()
    calls = v.counters.read().get('calls', -1)
    v.counters.close()
    return calls


def timed(make, path, mem, disk):
    v = vmm.Vmm(make(path, 'stop', mem, disk, None, 4), count=False)
    v.wait_for(b'!')
    first = time.monotonic() - v.began
    v.end()
    last = time.monotonic() - v.began
    return first * 1e6, last * 1e6, (v.usage.ru_utime + v.usage.ru_stime) * 1e6


def memory(make, path, mem, disk):
    """Of a guest that has looked at all its devices and waits: resident, anonymous, the most so far."""
    most = 0
    for _ in range(PEAKS):
        v = vmm.Vmm(make(path, 'bench', mem, disk, None, 4), count=False)
        peak = counters.Peak(v.pid, mem)
        peak.start()
        v.wait_for(b'hello')
        rss, anon = counters.memory(v.pid, mem)
        peak.end()
        most = max(most, peak.most, rss)
        v.kill()
    return rss, anon, most


def run(args, result):
    print(f'{"start":10} {"":8} {"first us":>9} {"(range)":>13} {"exit us":>9} {"(range)":>13} {"cpu us":>7} {"least":>6} {"ratio":>6} '
          f'{"calls":>6} {"rss":>6} {"anon":>6} {"peak":>6} {"file":>6} KiB')
    for mem in SIZES:
        programs = vmm.programs(start=True)
        rows = {name: [] for name in programs}
        calls = {name: counted(make, path, mem, args.disk) for name, (make, path) in programs.items()}
        for round_ in range(args.rounds + 2):
            # What the last one left for the kernel to clear up is paid by the next: not always by the same.
            order = list(programs)[round_ % len(programs):] + list(programs)[:round_ % len(programs)]
            for name in order if round_ & 1 else order[::-1]:
                rows[name].append(timed(*programs[name], mem, args.disk))
                time.sleep(PAUSE)
        for name, (make, path) in programs.items():
            first, last, cpu = zip(*rows[name])
            rss, anon, most = memory(make, path, mem, args.disk)
            ratio = statistics.median(a[2] / max(1, b[2]) for a, b in zip(rows['lkvm'], rows[name]))
            file = loaded(path)
            result['start'].setdefault(str(mem), {})[name] = {
                'first_us': statistics.median(first), 'exit_us': statistics.median(last),
                'first_range': [min(first), max(first)], 'exit_range': [min(last), max(last)],
                'cpu_us': statistics.median(cpu), 'cpu_least_us': min(cpu), 'lkvm_cpu_ratio': ratio,
                'system_calls': calls[name], 'rss_kib': rss, 'anon_kib': anon,
                'peak_kib': most, 'binary_bytes': file}
            print(f'{"%d MiB" % mem:10} {name:8} {statistics.median(first):9.0f} {"%.0f-%.0f" % (min(first), max(first)):>13} '
                  f'{statistics.median(last):9.0f} {"%.0f-%.0f" % (min(last), max(last)):>13} '
                  f'{statistics.median(cpu):7.0f} {min(cpu):6.0f} {ratio:6.2f} {calls[name]:6} '
                  f'{rss:6} {anon:6} {most:6} {file // 1024:6}', flush=True)
