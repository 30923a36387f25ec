"""`jeyn`, also as `python -m jeyn.cli`: the process around the command line, and what Ctrl-C means to it."""

import gc
import signal
import sys

AGAIN_SECONDS = 0.01


def main() -> None:
    """Run the command line. Before it listens and when it has spoken, Ctrl-C ends the process without a word."""
    # A shell ignores it for what a script runs in the background.
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jeyn.cli.main import main as commands

    sys.unraisablehook = _dropped
    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        commands()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if listens:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.freeze()  # or the interpreter looks at every object of every module once more: up to 50 ms


def _dropped(what: "sys.UnraisableHookArgs") -> None:
    """An interrupt is sent again: Python drops what is raised in a finaliser, and each import has some."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    else:
        sys.__unraisablehook__(what)


if __name__ == "__main__":
    main()
