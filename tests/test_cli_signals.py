"""Commands that are told to end do so in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from creps import cli

PROGRAM = """
import time
import creps.cli as cli

def work():
    try:
        print("working", flush=True)
        time.sleep(3600)
    finally:
        print("tidied", flush=True)

cli.app = lambda **given: cli._interruptible(work)()
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


@pytest.mark.parametrize(
    "words",
    [
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory",
        "Storage size calculation overflowed with sizes=[128, 1000000000000000000]",
        "CUDA out of memory. Tried to allocate 20.00 GiB",
        "MPS backend out of memory (MPS allocated: 1 GB)",
    ],
)
def test_memory_that_torch_lacks_is_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(**given: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(cli, "app", short)
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told == ("creps: out of memory: ask for a smaller size or batch, or for fewer classes\n")


def test_other_errors_of_torch_are_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(**given: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(cli, "app", wrong)
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    with pytest.raises(RuntimeError, match="shapes"):
        cli.main()
