"""`python -m jeyn.cli` is `jeyn`."""

from jeyn.cli.main import main

if __name__ == "__main__":
    main()
