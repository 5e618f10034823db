"""What a person types: `distevod`, which runs a platform, and `distevo-ctl`, which talks to it.

Reading order: `exits` (how every command ends), `daemon` (`distevod`: `start` with `detach`, `stop`, `config_command`,
`setting_options`), `main` (`distevo-ctl`), `target` and `client` (finding a daemon and asking it), `own_log`, `files`
(what is named on a command line), `commands` (one file a noun), `asking` and `offline` (a cluster seen through a
daemon, or through its store alone), `follow` and `wait`, what is shown: `screen`, `members_table`, `migration_table`,
`store_lines`, `bar`, `panels`, `draw`, `svg`, and `demo` (what the demonstration is made of).

Both commands import all of this before they do anything, so heavy imports (zmq, rich, the problems) stand inside the
functions that need them.
"""
