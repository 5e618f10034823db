"""The simulator: whole clusters of the real node in virtual time, with everything that can go wrong, from one seed.

    report = simulate(expand(7), seed=7)
    assert report.finding is None, report.finding

A scenario (`config`) names members, runs and faults. The world runs them on one agenda: each boot is the node that
ships, in a shell that can stand still or lose its memory (`boot`); the network (`network`) and the store (`store`)
delay, lose and repeat; workers (`workers`) evolve a toy problem. After every step the judges (`invariants`) look at
what the store and the nodes did. The same scenario and seed give the same trace, to the last bit.
"""

from distevo.simulator.config import Scenario, ScenarioError, plain, scenario_of, text
from distevo.simulator.expand import expand
from distevo.simulator.measures import Spread
from distevo.simulator.report import Report
from distevo.simulator.world import simulate

__all__ = ["Report", "Scenario", "ScenarioError", "Spread", "expand", "plain", "scenario_of", "simulate", "text"]
