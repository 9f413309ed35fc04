"""`python -m duologue_cli` is the same as `duologue`."""

from duologue_cli.command import main

if __name__ == "__main__":
    main()
