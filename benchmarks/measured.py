"""The command ``hatif``, followed by a line on standard error with its peak memory in MB."""

from __future__ import annotations

import atexit
import resource
import sys

from pipelines.process import main


def _say() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stderr.write(f"peak MB {peak}\n")


if __name__ == "__main__":
    atexit.register(_say)
    main()
