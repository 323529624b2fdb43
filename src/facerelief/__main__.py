"""`python -m facerelief` is `facerelief`."""

from __future__ import annotations

import sys

from facerelief.signals import held_interrupts, ignore_interrupts, raise_interrupts


def main() -> None:
    """The entry point `facerelief`."""
    raise_interrupts()
    try:
        try:
            with held_interrupts():  # modules that are half imported say odd things
                from facerelief.cli import main as run
            run()
        finally:
            ignore_interrupts()
    except KeyboardInterrupt:  # before a command began, when it had ended, or in the line above
        ignore_interrupts()
        print("facerelief: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        # An interrupt within an executed string, as dataclasses are made of, is remembered even
        # where it was caught: `python -m` then ends by the signal, not by 130. The next forgets it.
        exec("")


if __name__ == "__main__":
    main()
