# SPDX-License-Identifier: MIT
"""Workers, gateways, Redis and the pool killed at random moments of turns that two clients on two gateways follow: what they are told keeps to
the rules of all dialects, and is what REST has.

KILLS=100 makes the run that the guarantee was measured with.
"""

import os
import random
import threading
import time

import pytest
from conftest import close
from front_end import FrontEnd
from session_client import Viewer
from stack import Agent, Stack
from test_bridge_live import CONF, SCENARIOS, TEMPLATES
from waiting import wait_for

KILLS = int(os.environ.get("KILLS", 20))


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, bridges=2, scenarios=SCENARIOS, templates=TEMPLATES, conf=CONF)
    yield stack
    close(stack)


def kill_worker(stack, agent):
    stack.kill_worker()


def kill_its_worker(stack, agent):
    if (lease := agent.lease()) is not None:
        os.kill(lease[1], 9)


def kill_gateway(stack, agent):
    random.choice(stack.bridges).restart(9)


def stop_gateway(stack, agent):
    random.choice(stack.bridges).restart()


def kill_redis(stack, agent):
    stack.restart_redis()


def stop_pool(stack, agent):
    stack.restart_pool()


MEANS = [kill_its_worker] * 4 + [kill_worker] + [kill_gateway] * 3 + [stop_gateway] * 2 + [kill_redis, stop_pool]


@pytest.mark.parametrize("seed", range(KILLS))
def test_random(stack, seed):
    random.seed(seed)
    front = FrontEnd(stack)
    session = front.session(profile="worker")
    agent = Agent(front.user, stack.redis().zrange(f"af:user:{front.user.name}:sessions", 0, -1)[-1].decode())
    both = [Viewer(front, session, bridge) for bridge in stack.bridges]
    text = random.choice(["work", "ask", "slow", "work"])
    front.say(session, text)
    killer = threading.Thread(target=lambda: [(time.sleep(random.uniform(0, 0.25)), random.choice(MEANS)(stack, agent))
                                              for _ in range(random.choice((1, 1, 2)))])
    killer.start()
    killer.join()
    wait_for(stack.is_ready)
    wholes = [v.settled(60) for v in both]
    for v in both:
        v.close()
    assert wholes[0]["blocks"] == wholes[1]["blocks"] and wholes[0]["blocks"][0]["content"] == text
    assert wholes[0]["blocks"][-1]["type"] == "assistant_text"
