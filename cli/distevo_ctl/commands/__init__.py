"""The commands of `distevo-ctl`, by noun.

`submit` (a new run), `status`, `watch`, `runs` (the list, and what is done to one), `results`, `checkpoints`, `demo`.
"""
