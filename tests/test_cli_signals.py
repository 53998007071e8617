"""Commands that are told to end do so in order."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import time
import creps.cli as cli

def work():
    try:
        print("working", flush=True)
        time.sleep(3600)
    finally:
        print("tidied", flush=True)

cli.app = cli._interruptible(work)
cli.main()
"""


def test_sigterm_ends_like_an_interruption() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "tidied\n"
        assert process.stderr.read() == "creps: interrupted\n"
    assert process.returncode == 1
