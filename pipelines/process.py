"""The command ``hatif`` as a process: what is set once, before anything is imported.

What Arrow needs for a batch goes back to the system after it: its own allocator would keep 20 MB.
Python's collector of cycles looks at everything imported again and again while it is imported, a
third of the time that takes, and once more at the end: it runs more seldom, and not at the end.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys

#: Objects more than were freed until cycles are looked for; Python's own figure is 700.
_COLLECT_AFTER = 50_000


def open_standard_streams() -> None:
    """Make standard input, output and error usable, whatever the process was started with.

    A descriptor that is closed would be given to the next file opened, the catalog for example, and
    take what is printed. Output that goes to a program or a file is UTF-8 in any locale; a terminal
    keeps its encoding, and what that lacks is written out as an escape.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def main() -> None:
    """Run the command."""
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    atexit.register(gc.freeze)
    open_standard_streams()
    from pipelines import imports, interrupts

    interrupts.install()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    imports.leave_out_pandas()
    try:
        from pipelines.cli import main as command
    except KeyboardInterrupt:
        interrupts.end_now()

    command()


if __name__ == "__main__":
    main()
