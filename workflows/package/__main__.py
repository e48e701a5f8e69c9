"""``python -m matloop``: the command line."""

from matloop.workflows.cli import main

if __name__ == "__main__":
    main()
