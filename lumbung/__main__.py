"""The program's entry, as `lumbung` and as `python -m lumbung`."""

import sys

#: What a shell gives a command that Ctrl-C ended.
EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while it is still loading."""
    try:
        from lumbung.cli import main as run
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
