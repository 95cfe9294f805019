"""The figures of docs/benchmarks.md, measured: run with `make bench`."""
