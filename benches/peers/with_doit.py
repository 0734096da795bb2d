"""doit: tasks as dictionaries from a creator, `uptodate` as the check; its state is an SQLite database in memory."""

import time

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from peer import Calls, main


def doit(creator, command, **config):
    config |= {"backend": "sqlite3", "dep_file": ":memory:", "verbosity": 0}
    return DoitMain(ModuleTaskLoader({"task_all": creator, "DOIT_CONFIG": config})).run(command)


def layers(size, width=100):
    def check():
        Calls.count += 1
        return True

    def run():
        pass

    def tasks():
        for number in range(size):
            layer, place = divmod(number, width)
            below = [f"job {layer - 1}.{at}" for at in (place, (place + 1) % width)] if layer else []
            yield {"basename": f"job {layer}.{place}", "uptodate": [check], "actions": [run], "task_dep": below}

    assert doit(tasks, ["run"], reporter="zero") == 0
    return Calls.count


def chain_of(size):
    """Only the first fails; those above it would pass."""

    def check(number):
        return number > 0

    def run(number):
        Calls.count += 1
        return number > 0

    def tasks():
        for number in range(size):
            yield {
                "basename": f"job {number}",
                "uptodate": [(check, [number])],
                "actions": [(run, [number])],
                "task_dep": [f"job {number - 1}"] if number else [],
            }

    return tasks


def chain(size):
    """One try: there are no retries. `--continue`, so that it looks at the others as well."""
    assert doit(chain_of(size), ["run", "--continue"], reporter="zero") != 0
    return Calls.count


def sleepers(size):
    def run():
        time.sleep(0.1)

    def tasks():
        for number in range(size):
            yield {"basename": f"job {number}", "actions": [run]}

    assert doit(tasks, ["run", "-n", "32", "-P", "thread"], reporter="zero") == 0


def listing(size):
    assert doit(chain_of(size), ["list"]) == 0


main(
    layers=layers,
    chain=chain,
    sleepers=sleepers,
    list=listing,
)
