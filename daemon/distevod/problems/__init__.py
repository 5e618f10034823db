"""Problems that ship with distevo, and how any problem is found, loaded and checked.

Reading order: `onemax` (the smallest complete problem, a template for one's own), `regression` and `grids`
(real ones), `loader` (from a reference such as `grids`, `module:Class` or `file.py:Class` to a class); and what
happens to a submitted problem before a run is accepted: `task_data` (its tasks as JSON), `trial` (its members, one
after another), `check` (the process in which that happens), `check_wire` and `check_process` (what the daemon and that
process say to each other, and how the daemon sees it).
"""
