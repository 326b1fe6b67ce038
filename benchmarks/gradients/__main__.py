"""Serve one contestant, pinned to its cores before anything that reads them is imported."""

import sys

from benchmarks.common import pin
from benchmarks.gradients.protocol import serve

if __name__ == "__main__":
    name, threads = sys.argv[1], int(sys.argv[2])
    pin(threads)
    serve(name)
