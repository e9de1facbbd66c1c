"""Run all benchmarks: `make bench`."""

from bench.batch import batch
from bench.pages import pages
from bench.renewals import renewals
from bench.serving import serving
from bench.worker import worker

if __name__ == "__main__":
    serving()
    batch()
    worker()
    renewals()
    pages()
