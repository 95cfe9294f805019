"""What the README claims, measured: run with `make bench`."""
