"""TaskFlow: a graph flow whose links follow from what tasks require and provide; the serial engine, all in memory."""

import time
from concurrent.futures import ThreadPoolExecutor

from taskflow import engines, retry
from taskflow.patterns import graph_flow, linear_flow, unordered_flow
from taskflow.task import Task

from peer import Calls, main


class Nothing(Task):
    def execute(self, **needed):
        Calls.count += 1


def layers(size, width=100):
    flow = graph_flow.Flow("layers")
    tasks = []
    for number in range(size):
        layer, place = divmod(number, width)
        below = [f"{layer - 1}.{at}" for at in (place, (place + 1) % width)] if layer else []
        tasks.append(Nothing(f"job {layer}.{place}", provides=f"{layer}.{place}", requires=below))
    flow.add(*tasks)
    engines.run(flow, engine="serial")
    return Calls.count


class Never(Exception):
    pass


class Fails(Task):
    def execute(self):
        Calls.count += 1
        raise Never


def chain_of(size):
    flow = linear_flow.Flow("chain", retry=retry.Times(3))
    flow.add(Fails("job 0"), *(Nothing(f"job {number}") for number in range(1, size)))
    return flow


def chain(size):
    """Retries belong to a flow: all of it is reverted and tried again."""
    try:
        engines.run(chain_of(size), engine="serial")
    except Never:
        return Calls.count
    raise AssertionError("it cannot succeed")


class Sleeps(Task):
    def execute(self):
        time.sleep(0.1)


def sleepers(size):
    """On Python's own thread pool: the one that TaskFlow makes for itself takes a second to shut down."""
    flow = unordered_flow.Flow("sleepers").add(*(Sleeps(f"job {number}") for number in range(size)))
    with ThreadPoolExecutor(max_workers=32) as executor:
        engines.run(flow, engine="parallel", executor=executor)


def listing(size):
    print(*(node.name for node, _ in chain_of(size).iter_nodes()), sep="\n")


main(
    layers=layers,
    chain=chain,
    sleepers=sleepers,
    list=listing,
)
