#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""bench: what a VMM does for each request, and at its start. See docs/performance.md.

    make bench                          # everything
    tests/bench/run.py --only blk       # some cases
    LKVM_BENCH_KVMTOOL=path make bench  # with a peer; also LKVM_BENCH_QEMU=, LKVM_BENCH_OTHER= (an lkvm)
"""
import argparse
import fnmatch
import json
import os
import sys

import jobs
import start
import vmm


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--only', default='*', help='cases, as a glob; "start" for the start alone')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--scale', type=float, default=1.0, help='of the number of requests')
    p.add_argument('--queues', type=int, default=1)
    p.add_argument('--piece', type=int, default=4096, help='the disks are written in pieces of so many bytes')
    p.add_argument('--batches', action='store_true', help='packets also many with one system call, by the host')
    p.add_argument('--json', default=f'{vmm.O}/bench.json')
    p.add_argument('--dir', required=True)
    args = p.parse_args()
    args.tap = os.environ.get('BENCH_TAP') == '1'
    args.disk = f'{args.dir}/plain.img'
    vmm.make_disk(args.disk, args.piece)
    result = {'start': {}, 'requests': {}, 'memory': {}}
    try:
        if fnmatch.fnmatch('start', args.only):
            start.run(args, result)
        if args.only != 'start':
            jobs.run(args, result)
    finally:
        for v in vmm.Vmm.alive[:]:
            v.kill()
    with open(args.json, 'w') as f:
        json.dump(result, f, indent=1)


if __name__ == '__main__':
    sys.exit(main())
