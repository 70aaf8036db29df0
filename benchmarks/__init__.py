"""Measures Headway, and what else there is for the same work, on this machine: `make bench` (docs/benchmarks.md)."""
