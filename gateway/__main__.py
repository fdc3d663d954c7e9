"""`python -m gateway` is `vmgate`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
