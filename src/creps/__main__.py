"""`python -m creps` is the `creps` command."""

from creps.cli import main

if __name__ == "__main__":
    main()
