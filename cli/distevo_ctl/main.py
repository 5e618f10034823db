"""`distevo-ctl`: what a person asks of a running platform."""

from distevo_ctl.commands.benchmark import benchmark
from distevo_ctl.commands.checkpoints import checkpoints
from distevo_ctl.commands.demo import demo
from distevo_ctl.commands.members import drain, revoke
from distevo_ctl.commands.results import results
from distevo_ctl.commands.runs import cancel, delete, extend, pause, priority, resume, runs
from distevo_ctl.commands.status import status
from distevo_ctl.commands.submit import submit
from distevo_ctl.commands.watch import watch
from distevo_ctl.copy import copy
from distevo_ctl.cost import cost
from distevo_ctl.doctor import doctor
from distevo_ctl.exits import ExitCodeGroup
from distevo_ctl.simulate import simulate
from distevo_ctl.target import group_options

HELP = """Submit runs to a distevo cluster, watch them, and see what they found.

\b
  distevo-ctl demo                                             one minute, from nothing
  distevo-ctl submit --problem grids --tasks training:0-39     a run
  distevo-ctl watch                                            live
  distevo-ctl results RUN --task ID                            a program, drawn

Commands find the daemon of this user by themselves; --state-dir names another. With --json, what is printed is JSON,
errors (on standard error) too."""

COMMANDS = [
    submit, status, watch, runs, results, cancel, pause, resume, extend, priority, delete, drain, revoke, checkpoints,
    demo, simulate, doctor, cost, copy, benchmark,
]  # fmt: skip

main = ExitCodeGroup(
    "distevo-ctl", commands={str(command.name): command for command in COMMANDS}, help=HELP, params=group_options()
)

if __name__ == "__main__":
    main(prog_name="distevo-ctl")
