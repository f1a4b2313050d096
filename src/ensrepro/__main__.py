"""`python -m ensrepro`: see `ensrepro.cli`."""

from ensrepro.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
