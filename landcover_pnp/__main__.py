"""``python -m landcover_pnp`` is the command ``landcover``."""

import signal
import sys

from landcover_pnp.interruption import SIGNALS, ended_by_signals, exit_code, how_to_resume


def main() -> int:
    """The whole process; signals end it in order from its first imports to its last moment.

    Returns:
        The exit code, see ``cli.main``.
    """
    try:
        with ended_by_signals():
            from landcover_pnp.cli import main as command

            return command()
    except KeyboardInterrupt as stop:
        sys.stderr.write(how_to_resume(stop, sys.argv[1:]) + "\n")
        return exit_code(stop)
    finally:
        for number in SIGNALS:  # all is done: Python's own end needs no tracebacks
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
