"""`python -m duologue_cli` is the same as `duologue`."""

from duologue_cli.main import main

if __name__ == "__main__":
    main()
