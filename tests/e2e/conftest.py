# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests: real nginx, real Redis, a scripted model over real HTTP."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from stack import Stack, live_stacks  # noqa: E402


def close(stack):
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture(scope="session")
def site():
    """The installation that most tests share; each brings its own users and agents."""
    stack = Stack(workers=2)
    yield stack
    close(stack)


@pytest.fixture
def stack_factory():
    """Installations of a test's own: stack_factory(workers=1, conf={...})."""
    stacks = []

    def make(**options):
        stacks.append(Stack(**options))
        return stacks[-1]

    yield make
    for stack in stacks:
        close(stack)


@pytest.fixture
def user(site):
    return site.user()


@pytest.fixture
def agent(user):
    return user.agent()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when != "teardown":
        for stack in live_stacks:
            report.sections.append((f"logs of {stack.dir}", stack.tails()))
