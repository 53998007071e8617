"""A process that reads damaged files, one after the other, under limits, and says how each ended.

    python -m faults.child KIND FOLDER RESULTS FIRST COUNT SEED MEGABYTES SECONDS

FOLDER is its own, RESULTS gets a JSON line before and after each file, so that a process that dies
tells of which one. Too much time ends it by SIGPROF.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import typing
import warnings
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from creps.errors import CrepsError
from faults.kinds import Kind, Seed, kind_named

LONGEST_LINE = 300
"""Characters of a message."""

_FORBIDDEN = {
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"),
    *("subprocess.Popen", "socket.connect", "socket.bind", "ctypes.dlopen"),
}

_REMOVING = {"os.remove", "os.rename", "os.rmdir", "shutil.rmtree"}
"""Events that are a matter of the place: the program sweeps its own folders."""

_TRUSTED = {module.__file__ for module in (collections, dataclasses, enum, inspect, typing)}
"""Files of the standard library whose work it is to run texts of programs."""


class Watch:
    """Notes what only code of a file would do: it stays for the life of a process.

    Attributes:
        seen: events since it was last cleared.
    """

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self.active = False
        self._folder = str(folder)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in _FORBIDDEN:
            self.seen.append(event)
        elif event == "exec" and not _trusted():
            self.seen.append(f"exec of {args[0]!r}")
        elif event == "open" and _is_write(args[1]) and not self._may_change(args[0]):
            self.seen.append(f"open of {args[0]} for writing")
        elif event in _REMOVING and not self._may_change(args[0]):
            self.seen.append(f"{event} of {args[0]}")

    def _may_change(self, path: object) -> bool:
        """Whether it is in the folder, a device, or no path: an open file, a name in a folder."""
        if not isinstance(path, (str, os.PathLike)) or not os.path.isabs(path):
            return True
        return os.path.abspath(path).startswith((self._folder + os.sep, "/dev/"))


def _is_write(mode: object) -> bool:
    return isinstance(mode, str) and bool(set(mode) & set("wax+"))


def _trusted() -> bool:
    """Whether code is run by what evaluates annotations, makes classes or imports modules."""
    frame: FrameType | None = sys._getframe(2)
    if frame is not None and frame.f_code.co_filename in _TRUSTED:
        return True
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def mutant(kind: Kind, contents: list[bytes], number: int, seed: int) -> tuple[int, bytes]:
    """Which seed a mutant is made from, and its content: the same for the same numbers."""
    random = Random(f"{kind.name} {seed} {number}")
    which = random.randrange(len(contents))
    return which, kind.damage(contents[which], random)


def tried(kind: Kind, seed: Seed, watch: Watch, output: Any) -> dict[str, Any]:
    """How reading one file ended."""
    verdict, text = "opened", ""
    watch.seen.clear()
    watch.active = True
    try:
        kind.use(seed.given)
    except CrepsError as error:
        verdict, text = "refused", Exception.__str__(error)
        if len(str(error)) > LONGEST_LINE:
            verdict = "long"
        if not str(error).isprintable():
            verdict = "control"
    except OSError as error:
        verdict, text = "refused", f"{error.filename or 'file'}: {error.strerror or error}"
    except MemoryError:
        verdict, text = "memory", traceback.format_exc()
    except SystemExit as error:
        verdict = "refused" if error.code else "opened"
    except BaseException:
        verdict, text = "traceback", traceback.format_exc()
    finally:
        watch.active = False
    if watch.seen:
        verdict, text = "code", "; ".join(watch.seen)
    said = _said(output)
    if verdict in ("opened", "refused") and said:
        text = text or said
        if "out of memory" in said:
            verdict = "memory"
        elif any(not (c.isprintable() or c == "\n") for c in said):
            verdict, text = "control", repr(said)
        elif verdict == "refused" and max(map(len, said.splitlines())) > LONGEST_LINE:
            verdict = "long"
        elif "Warning" in said or "Traceback" in said:
            verdict, text = "noise", said
    return {"verdict": verdict, "text": text[-2000:]}


def _said(output: Any) -> str:
    """What was printed since the last time."""
    sys.stdout.flush()
    sys.stderr.flush()
    output.seek(0)
    said: str = output.read().decode(errors="replace")
    output.seek(0)
    output.truncate()
    return said


def main() -> None:
    """See the head of this module."""
    name, folder, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    first, count, seed, megabytes, seconds = map(int, sys.argv[4:])
    kind = kind_named(name)
    seeds = kind.seeds(folder)
    contents = [each.file.read_bytes() for each in seeds]
    output = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the process
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    warnings.simplefilter("always")
    watch = Watch(folder)
    with results.open("a", encoding="utf-8") as file:

        def note(**line: Any) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        for each in seeds:  # imports what is needed, before the limits
            kind.use(each.given)
        _said(output)
        for each in seeds:
            found = tried(kind, each, watch, output)
            if found["verdict"] != "opened":
                note(invalid=str(each.file.relative_to(folder)), **found)
                return
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = own + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in range(first, first + count):
            which, content = mutant(kind, contents, number, seed)
            place = seeds[which].file
            place.write_bytes(content)
            note(began=number)
            signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process
            found = tried(kind, seeds[which], watch, output)
            signal.setitimer(signal.ITIMER_PROF, 0)
            note(number=number, **found)
            with contextlib.suppress(OSError):
                place.unlink()
            place.write_bytes(contents[which])


if __name__ == "__main__":
    main()
