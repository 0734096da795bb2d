"""pyinfra: a deploy of 300 files, for `pyinfra --yes @local with_pyinfra.py`."""

import io
import os

from pyinfra.operations import files

for number in range(300):
    files.put(
        name=f"{number}.conf",
        src=io.StringIO(f"number = {number}\n" * 20),
        dest=f"{os.environ['FILES']}/{number}.conf",
        mode="640",
    )
