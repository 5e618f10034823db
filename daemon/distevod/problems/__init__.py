"""Problems that ship with distevo, and how any problem is found, loaded and checked.

Reading order: `onemax` (the smallest complete problem, a template for one's own), `regression` and `grids`
(real ones), `loader` (from a reference such as `grids`, `module:Class` or `file.py:Class` to a class),
`check` (the process in which a submitted problem is tried before a run is accepted).
"""
