"""Serve one contestant, pinned to its cores before anything that reads them is imported."""

import sys

from benchmarks.contestants import protocol

if __name__ == "__main__":
    name, threads = sys.argv[1], int(sys.argv[2])
    protocol.pin(threads)
    protocol.serve(name)
