"""luigi: tasks with parameters, the local scheduler, one worker in this process; nothing on disk, nothing logged."""

import time

import luigi
from luigi.configuration import get_config
from luigi.tools.deps_tree import print_tree

from peer import Calls, main


def build(tasks, workers=1):
    result = luigi.build(tasks, local_scheduler=True, workers=workers, log_level="CRITICAL", detailed_summary=True)
    return result.scheduling_succeeded


class Once(luigi.Task):
    """Complete as soon as it has run. Were it complete before, luigi would not look at what it requires."""

    done = False

    def complete(self):
        return self.done

    def run(self):
        Calls.count += 1
        self.done = True


class Layered(Once):
    layer = luigi.IntParameter()
    place = luigi.IntParameter()
    width = luigi.IntParameter()

    def requires(self):
        if self.layer == 0:
            return []
        return [Layered(self.layer - 1, place, self.width) for place in (self.place, (self.place + 1) % self.width)]


def layers(size, width=100):
    assert build([Layered(size // width - 1, place, width) for place in range(width)])
    return Calls.count


class Link(Once):
    number = luigi.IntParameter()

    def requires(self):
        return [Link(self.number - 1)] if self.number else []

    def run(self):
        super().run()
        if self.number == 0:
            self.done = False
            raise RuntimeError("never")


def chain(size):
    config = get_config()
    config.set("scheduler", "retry_count", "3")
    config.set("scheduler", "retry_delay", "0")
    config.set("worker", "keep_alive", "true")
    config.set("worker", "wait_interval", "0.0001")
    config.set("worker", "wait_jitter", "0")
    assert not build([Link(size - 1)])
    return Calls.count


class Sleeps(Once):
    number = luigi.IntParameter()

    def run(self):
        time.sleep(0.1)


def sleepers(size):
    """A worker is a process, forked for each task."""
    assert build([Sleeps(number) for number in range(size)], workers=32)


def listing(size):
    print(print_tree(Link(size - 1)))


main(
    layers=layers,
    chain=chain,
    sleepers=sleepers,
    list=listing,
)
