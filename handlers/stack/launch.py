"""Become another program that cannot outlive the process that started it. Run as a file: launch.py PARENT_PID COMMAND...

Linux kills a child whose parent dies, however it dies, if the child has asked for it; the wish survives exec.
Elsewhere the supervisor's own end is the only protection.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def main() -> None:
    """Ask to die with the parent, then exec the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != int(parent):
        sys.exit("the parent died before its child could ask to die with it")
    os.execv(command[0], command)  # noqa: S606 - a fixed argument list without a shell is wanted


if __name__ == "__main__":
    main()
