# SPDX-License-Identifier: MIT
"""Libraries for LD_PRELOAD, of the sources beside this: library("slow_names", folder) is the path of one."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))

without_sanitizers = pytest.mark.skipif(any(name.endswith("SAN_OPTIONS") for name in os.environ),
                                        reason="a sanitizer wants to be loaded first")


def library(name, folder):
    path = os.path.join(folder, f"{name}.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", path, os.path.join(HERE, f"{name}.c")], check=True)
    return path
