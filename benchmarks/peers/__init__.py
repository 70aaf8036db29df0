"""The peers: other queues doing the same work, each in its best configuration that we know of.

Runs in a venv of its own (`benchmarks.peers.venv`), so nothing here may import Headway.
"""
