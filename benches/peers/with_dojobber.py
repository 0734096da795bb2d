"""DoJobber: a class for each job, made by type(); nothing shown, nothing on disk, no workers."""

from dojobber import DoJobber, DummyJob, Job
from pygraph.algorithms.searching import depth_first_search

from peer import Calls, main


def converge(root):
    dojobber = DoJobber()
    dojobber.configure(root, default_tries=3, default_retry_delay=0)
    dojobber.checknrun()
    return dojobber


def layers(size, width=100):
    def check(self, *args, **kwargs):
        Calls.count += 1

    def run(self, *args, **kwargs):
        pass

    below = []
    for layer in range(size // width):
        below = [
            type(
                f"job {layer}.{place}",
                (Job,),
                {"Check": check, "Run": run, "DEPS": [below[place], below[(place + 1) % width]] if below else []},
            )
            for place in range(width)
        ]
    dojobber = converge(type("all", (DummyJob,), {"DEPS": below}))
    assert dojobber.success()
    return Calls.count


def link(number, below):
    """Only the first fails; those above it would pass."""

    def check(self, *args, **kwargs):
        if number == 0:
            raise RuntimeError("never")
        Calls.count += 1

    def run(self, *args, **kwargs):
        Calls.count += 1

    return type(f"job {number}", (Job,), {"Check": check, "Run": run, "DEPS": [below] if below else []})


def chain_of(size):
    job = None
    for number in range(size):
        job = link(number, job)
    return job


def chain(size):
    dojobber = converge(chain_of(size))
    assert not dojobber.success()
    return Calls.count


def listing(size):
    dojobber = DoJobber()
    dojobber.configure(chain_of(size))
    _, _, order = depth_first_search(dojobber.graph, root=f"job {size - 1}")
    print(*order, sep="\n")


main(
    layers=layers,
    chain=chain,
    sleepers="has no workers",
    list=listing,
)
